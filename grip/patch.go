package grip

import (
	"fmt"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// maxPatched bounds what a patch makes of a body by copying parts of it, in bytes.
const maxPatched = 1 << 20

// checkPatch tells whether a body-patch can be applied to anything.
func checkPatch(patch []byte) error {
	if _, err := jsonpatch.DecodePatch(patch); err != nil {
		return fmt.Errorf("body-patch is no JSON Patch (RFC 6902): %w", err)
	}
	return nil
}

// Patched is the body of a held answer with the changes that a publication's body-patch says (RFC 6902).
func Patched(held, patch []byte) ([]byte, error) {
	changes, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, err
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit, options.EscapeHTML = maxPatched, false
	return changes.ApplyWithOptions(held, options)
}

package grip

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// readJSON decodes JSON. Its error is for the one who wrote that, and who does not know our types.
func readJSON(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) {
		where := "it"
		if kind.Field != "" {
			where = kind.Field
		}
		return fmt.Errorf("%s is of the type %s; expected %s", where, kind.Value, expected(kind.Type.Kind()))
	}
	return err
}

func expected(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	default:
		return "number"
	}
}

//go:build !linux

package supervisor

import "os"

// anonymousFile gives a file without a name: it is removed as soon as it is open.
func anonymousFile() (*os.File, error) {
	file, err := os.CreateTemp("", "backline-begun-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

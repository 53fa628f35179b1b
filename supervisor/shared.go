package supervisor

import (
	"os"
	"runtime"
	"syscall"

	"backline/wire"
)

// shareMemory makes the memory in which a worker notes what it has begun, and the file to inherit. It is unmapped when
// nobody refers to it any more and not at the worker's end: the dispatcher reads it after that.
func shareMemory() (*wire.Begun, *os.File, error) {
	file, err := anonymousFile()
	if err != nil {
		return nil, nil, err
	}
	if err := file.Truncate(wire.BegunSize); err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, wire.BegunSize,
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		_ = file.Close()
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	begun := wire.NewBegun(memory)
	runtime.AddCleanup(begun, func(memory []byte) { _ = syscall.Munmap(memory) }, memory)
	return begun, file, nil
}

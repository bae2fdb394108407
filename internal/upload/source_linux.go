package upload

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ChangeTime is when a file's bytes, names or rights were last changed. Unlike
// the time of the last write, nobody can set it.
func ChangeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}

// isWritable says whether somebody has a file open for writing, or mapped into
// memory to write to. Writes to a map that was written to before leave no trace in
// the file's times; but the kernel grants a read lease only on a file that nobody
// writes to (fcntl(2), F_SETLEASE). It grants none to those who neither own the
// file nor have CAP_LEASE: then nobody can tell, and the answer is no.
func isWritable(f File) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return false
	}
	writable := false
	conn.Control(func(fd uintptr) {
		if _, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK); err != nil {
			writable = err == unix.EAGAIN
			return
		}
		unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
	})
	return writable
}

// isFarAway says whether a file is on another machine, or behind a program: NFS,
// SMB, 9P, Ceph and FUSE (statfs(2)).
func isFarAway(f File) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return false
	}
	var stat unix.Statfs_t
	conn.Control(func(fd uintptr) { err = unix.Fstatfs(int(fd), &stat) })
	if err != nil {
		return false
	}
	switch uint32(stat.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, cifs:
		return true
	}
	return false
}

// cifs is CIFS_SUPER_MAGIC, which package unix lacks.
const cifs = 0xff534d42

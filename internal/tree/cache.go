package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"s3up/internal/etag"
	"s3up/internal/upload"
)

// Sums are what is known of a file's bytes.
type Sums struct {
	MD5 etag.MD5
	// ETags are those that objects of these bytes were seen to have, where they are
	// not the MD5: of parts, or, marked as opaque, encrypted. The newest comes first.
	ETags []string
}

// opaque marks an ETag that says nothing of the bytes.
const opaque = "~"

// has says whether an ETag is one that objects of the bytes were seen to have.
func (s *Sums) has(tag string) bool {
	return s != nil && (tag == s.MD5.String() || slices.Contains(s.ETags, tag))
}

// A Cache remembers the hashes of the files of one folder from run to run. What it
// has of a file is believed if size, times of the last write and the last change,
// inode and device are what they were. A file that was written to within two
// seconds of its being hashed is not taken: another write in the same tick of the
// file system's clock would leave no trace. Nothing depends on a Cache: it may be
// deleted, and one that cannot be read is as good as an empty one. A nil Cache
// remembers nothing. Its methods may be called at once.
type Cache struct {
	file string
	db   *bolt.DB

	mu      sync.Mutex
	pending map[string][]byte
	flushed time.Time
	broken  bool
}

// ErrCacheInUse says that another run has the cache of a folder open.
var ErrCacheInUse = errors.New("another run uses the hash cache of this folder")

const (
	settled    = 2 * time.Second // see Cache
	cacheBatch = 4096            // entries that are written at once
	cacheTime  = 2 * time.Second // or what came in so long
	keptETags  = 4               // of each file
	maxETag    = 255             // bytes
)

var entries = []byte("entries")

// OpenCache opens the cache of a folder, which lies in dir. share tells the shares
// of a folder apart that several machines, or processes, work at. Close closes it.
func OpenCache(dir, folder, share string) (*Cache, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := sha256.Sum256([]byte(folder + "\x00" + share))
	c := &Cache{file: filepath.Join(dir, hex.EncodeToString(name[:16])+".db"), pending: make(map[string][]byte), flushed: time.Now()}
	err = c.open(folder)
	var cannot *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrCacheInUse
	case err != nil && !errors.As(err, &cannot): // it is no cache, or a broken one
		if err := os.Remove(c.file); err != nil {
			return nil, err
		}
		err = c.open(folder)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache) open(folder string) error {
	return safely(func() (err error) {
		c.db, err = bolt.Open(c.file, 0o600, &bolt.Options{Timeout: time.Millisecond})
		if err != nil {
			return err
		}
		return c.db.Update(func(tx *bolt.Tx) error {
			if _, err := tx.CreateBucketIfNotExists(entries); err != nil {
				return err
			}
			about, err := tx.CreateBucketIfNotExists([]byte("about")) // for whoever wonders what the file is
			if err != nil || string(about.Get([]byte("folder"))) == folder {
				return err
			}
			return about.Put([]byte("folder"), []byte(folder))
		})
	})
}

var errBroken = errors.New("the hash cache is broken")

// safely has the database fail where it would end the program: it maps its file
// into memory, and trusts what is in it.
func safely(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = errBroken
		}
	}()
	return do()
}

// fail makes nothing of a cache that is broken.
func (c *Cache) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.broken {
		c.broken = true
		os.Remove(c.file)
	}
}

// Get returns what is known of a file as it is now; nil if nothing is.
func (c *Cache) Get(f *File) *Sums {
	stamp, ok := stampOf(f.Info)
	if c == nil || !ok || f.Rel == "" {
		return nil
	}
	c.mu.Lock()
	entry, broken := c.pending[f.Rel], c.broken
	c.mu.Unlock()
	if broken {
		return nil
	}
	if entry == nil {
		err := safely(func() error {
			return c.db.View(func(tx *bolt.Tx) error {
				entry = bytes.Clone(tx.Bucket(entries).Get([]byte(f.Rel)))
				return nil
			})
		})
		if err != nil {
			c.fail()
			return nil
		}
	}
	return decode(f.Rel, stamp, entry)
}

// Put remembers what is known of a file, if it is still what the walk saw. at is
// when it began to be read. Beside an ETag that is given, those that are known
// already stay.
func (c *Cache) Put(f *File, at time.Time, sum etag.MD5, tag string, kind upload.ETagKind) {
	if kind == upload.ETagOpaque && tag != "" {
		tag = opaque + tag
	}
	stamp, ok := stampOf(f.Info)
	if c == nil || !ok || f.Rel == "" || !isSettled(f.Info, at) {
		return
	}
	now, err := os.Stat(f.Path)
	if err != nil {
		return
	}
	if same, ok := stampOf(now); !ok || same != stamp {
		return
	}
	s := Sums{MD5: sum}
	if before := c.Get(f); before != nil && before.MD5 == sum {
		s.ETags = before.ETags
		if before.has(tag) {
			return
		}
	}
	if tag != "" && tag != sum.String() && len(tag) <= maxETag {
		s.ETags = append([]string{tag}, s.ETags[:min(len(s.ETags), keptETags-1)]...)
	}
	c.mu.Lock()
	c.pending[f.Rel] = encode(f.Rel, stamp, s)
	full := len(c.pending) >= cacheBatch || time.Since(c.flushed) > cacheTime
	c.mu.Unlock()
	if full {
		c.flush()
	}
}

// flush writes what is pending, in order.
func (c *Cache) flush() {
	c.mu.Lock()
	pending, broken := c.pending, c.broken
	c.pending, c.flushed = make(map[string][]byte), time.Now()
	c.mu.Unlock()
	if broken || len(pending) == 0 {
		return
	}
	names := make([]string, 0, len(pending))
	for name := range pending {
		names = append(names, name)
	}
	slices.Sort(names)
	c.update(func(b *bolt.Bucket) error {
		b.FillPercent = 0.9 // names come in their order, most of the time
		for _, name := range names {
			if err := b.Put([]byte(name), pending[name]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *Cache) update(do func(*bolt.Bucket) error) {
	if err := safely(func() error { return c.db.Update(func(tx *bolt.Tx) error { return do(tx.Bucket(entries)) }) }); err != nil {
		c.fail()
	}
}

// Close writes what is pending, and closes the cache. After a walk of the whole
// folder that found so many files (else 0), entries of files that are gone are
// dropped if there are many of them.
func (c *Cache) Close(folder string, files int) {
	if c == nil {
		return
	}
	c.flush()
	if files > 0 {
		c.prune(folder, files)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.broken {
		safely(c.db.Close)
	}
}

// prune drops the entries of files that are gone, a few thousand at a time.
func (c *Cache) prune(folder string, files int) {
	n := 0
	if err := safely(func() error {
		return c.db.View(func(tx *bolt.Tx) error { n = tx.Bucket(entries).Stats().KeyN; return nil })
	}); err != nil || n <= files+files/8+1000 {
		return
	}
	for next := []byte{}; next != nil; {
		c.update(func(b *bolt.Bucket) error {
			var gone [][]byte
			cursor := b.Cursor()
			k, _ := cursor.Seek(next)
			for looked := 0; k != nil && looked < cacheBatch; looked++ {
				if _, err := os.Lstat(filepath.Join(folder, filepath.FromSlash(string(k)))); errors.Is(err, fs.ErrNotExist) {
					gone = append(gone, bytes.Clone(k))
				}
				k, _ = cursor.Next()
			}
			next = bytes.Clone(k)
			for _, k := range gone {
				if err := b.Delete(k); err != nil {
					return err
				}
			}
			return nil
		})
		if c.isBroken() {
			return
		}
	}
}

func (c *Cache) isBroken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// A stamp stands for what a file was when it was hashed.
type stamp [16]byte

func stampOf(info fs.FileInfo) (stamp, bool) {
	if info == nil {
		return stamp{}, false
	}
	changed, inode, device, ok := statOf(info)
	if !ok {
		return stamp{}, false
	}
	var b []byte
	for _, n := range []uint64{uint64(info.Size()), uint64(info.ModTime().UnixNano()), uint64(changed.UnixNano()), inode, device} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256(b)
	return stamp(sum[:16]), true
}

// isSettled says whether a file was left alone for so long before it was hashed
// that any write to it since shows in its times. Its time of the last write may be
// in the future: somebody has set it.
func isSettled(info fs.FileInfo, at time.Time) bool {
	changed, _, _, ok := statOf(info)
	return ok && at.Sub(changed) >= settled && at.Sub(info.ModTime()).Abs() >= settled
}

// An entry is its checksum, the stamp, the MD5, and the ETags with their lengths.

func encode(name string, s stamp, sums Sums) []byte {
	b := append(make([]byte, 4, 64), s[:]...)
	b = append(b, sums.MD5[:]...)
	for _, tag := range sums.ETags {
		b = append(append(b, byte(len(tag))), tag...)
	}
	binary.BigEndian.PutUint32(b, checksum(name, b))
	return b
}

func decode(name string, s stamp, entry []byte) *Sums {
	const fixed = 4 + len(stamp{}) + len(etag.MD5{})
	if len(entry) < fixed || binary.BigEndian.Uint32(entry) != checksum(name, entry) || !bytes.Equal(entry[4:4+len(s)], s[:]) {
		return nil
	}
	sums := &Sums{MD5: etag.MD5(entry[4+len(s) : fixed])}
	for rest := entry[fixed:]; len(rest) > 0; {
		n := int(rest[0])
		if n >= len(rest) {
			return nil
		}
		sums.ETags, rest = append(sums.ETags, string(rest[1:1+n])), rest[1+n:]
	}
	return sums
}

// checksum is of the name too: an entry is of no use under another one.
func checksum(name string, entry []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(name), table), table, entry[4:])
}

package tree

import (
	"bytes"
	"cmp"
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
	"sync/atomic"
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
// remembers nothing. Its methods may be called at once. Memory does not grow with what
// is remembered.
type Cache struct {
	file   string
	folder string

	use     sync.RWMutex // for writing, while db is opened anew
	db      *bolt.DB
	touched atomic.Int64 // entries, since it was opened

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

	// letGo is how many entries are touched before the file is opened anew: it is mapped
	// into memory, of which what was looked at stays part of the process.
	letGo = 32 << 10
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
	c := &Cache{file: filepath.Join(dir, hex.EncodeToString(name[:16])+".db"), folder: folder, pending: make(map[string][]byte), flushed: time.Now()}
	err = c.open()
	var cannot *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrCacheInUse
	case err != nil && !errors.As(err, &cannot): // it is no cache, or a broken one
		if err := os.Remove(c.file); err != nil {
			return nil, err
		}
		err = c.open()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache) open() error {
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
			if err != nil || string(about.Get([]byte("folder"))) == c.folder {
				return err
			}
			return about.Put([]byte("folder"), []byte(c.folder))
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

// touch counts entries that are about to be looked at or written.
func (c *Cache) touch(n int) {
	if c.touched.Add(int64(n)) < letGo {
		return
	}
	c.use.Lock()
	defer c.use.Unlock()
	if c.touched.Load() < letGo || c.isBroken() {
		return
	}
	c.touched.Store(0)
	if err := cmp.Or(safely(c.db.Close), c.open()); err != nil { // another run may have come in between
		c.mu.Lock()
		c.broken = true
		c.mu.Unlock()
	}
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
		c.touch(1)
		err := c.using(func() error {
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
	c.update(len(names), func(b *bolt.Bucket) error {
		b.FillPercent = 0.9 // names come in their order, most of the time
		more := 0
		for _, name := range names {
			if b.Get([]byte(name)) == nil {
				more++
			}
			if err := b.Put([]byte(name), pending[name]); err != nil {
				return err
			}
		}
		return count(b, more)
	})
}

// using does something with the database, if there still is one.
func (c *Cache) using(do func() error) error {
	c.use.RLock()
	defer c.use.RUnlock()
	if c.isBroken() {
		return nil
	}
	return safely(do)
}

// update changes so many entries.
func (c *Cache) update(n int, do func(*bolt.Bucket) error) {
	c.touch(n)
	if err := c.using(func() error { return c.db.Update(func(tx *bolt.Tx) error { return do(tx.Bucket(entries)) }) }); err != nil {
		c.fail()
	}
}

// count notes in the bucket how many entries came in, or went out.
func count(b *bolt.Bucket, more int) error {
	return b.SetSequence(uint64(max(int(b.Sequence())+more, 0)))
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
	if err := c.using(func() error {
		return c.db.View(func(tx *bolt.Tx) error { n = int(tx.Bucket(entries).Sequence()); return nil })
	}); err != nil || n <= files+files/8+1000 {
		return
	}
	for next := []byte{}; next != nil; {
		c.update(cacheBatch, func(b *bolt.Bucket) error {
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
			return count(b, -len(gone))
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

package main

// unlimited is more files than a run ever has open.
const unlimited = 1 << 20

// besideUploads is how many descriptors the program needs beside its sources and
// its connections.
const besideUploads = 12

// shareOut lowers the number of files that are open at once, and of slots, to what
// the process may have open. Each file in hand may have a request beside those
// that take slots.
func shareOut(files, slots, descriptors int) (int, int) {
	room := max(descriptors-besideUploads, 0)
	if 2*files+slots <= room {
		return files, slots
	}
	slots = max(min(slots, room/2), 1)
	return max(min(files, (room-slots)/2), 1), slots
}

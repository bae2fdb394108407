package upload

// An EventKind says what an Event tells.
type EventKind int

const (
	Started  EventKind = iota // an upload began: Size is known, or -1
	Sized                     // the end of a stream was seen: Size is known now; or a file is read anew, with another Size
	Sent                      // Bytes more of the object went out, for the first time
	Resumed                   // Bytes of the object were found at the store
	Undone                    // Bytes that were told of as Sent or Resumed have to go out again
	Stage                     // Text names what goes on now that all bytes are there
	Noted                     // Text is worth a line to people; it stands in Result.Notes too
	Finished                  // the upload ended, Result says how
)

// An Event is something that happened to an upload. The sums of Sent and
// Resumed, less Undone, never exceed the object's size: a part that is sent
// again counts only from where its first try got to.
type Event struct {
	Kind   EventKind
	Job    *Job
	Size   int64
	Bytes  int64
	Text   string
	Result *Result
}

// Stages, as Event.Text names them.
const (
	StageHash      = "hashing"
	StageComplete  = "completing"
	StageNormalize = "copying on the server"
)

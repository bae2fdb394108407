package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// A timetable says how many bytes a second may go out at each time of the week.
// It is in order.
type timetable []timetableEntry

type timetableEntry struct {
	from int   // the minute of the week, from Sunday on
	rate int64 // bytes a second; 0: as fast as it goes
}

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay

	// Less than that keeps connections open for so long that stores end them.
	leastRate = 1 << 10
)

// at is the rate at a time, by the clock on the wall. What holds before the first
// entry of a week is the last one of the week before.
func (t timetable) at(now time.Time) int64 {
	minute := int(now.Weekday())*minutesOfDay + now.Hour()*60 + now.Minute()
	rate := t[len(t)-1].rate
	for _, e := range t {
		if e.from <= minute {
			rate = e.rate
		}
	}
	return rate
}

var (
	errRate  = errors.New("must be bytes a second with their unit, such as 10MiB, or off; or a timetable, such as '08:00,512KiB 19:00,10MiB 23:00,off'")
	moment   = regexp.MustCompile(`^(?:(sun|mon|tue|wed|thu|fri|sat)[a-z]*-)?([01]?[0-9]|2[0-3]):([0-5][0-9])$`)
	weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
)

// parseTimetable reads one rate for all times, or rates by the time of day or of
// the week, as rclone has them. An entry without a day is one for each day.
func parseTimetable(text string) (timetable, error) {
	if !strings.ContainsAny(text, ", ") {
		rate, err := parseRate(text)
		return timetable{{0, rate}}, err
	}
	var t timetable
	for _, entry := range strings.Fields(text) {
		when, what, ok := strings.Cut(entry, ",")
		m := moment.FindStringSubmatch(strings.ToLower(when))
		if !ok || m == nil {
			return nil, fmt.Errorf("%q is no entry of a timetable: it is TIME,RATE or DAY-TIME,RATE, such as Mon-08:00,512KiB", entry)
		}
		rate, err := parseRate(what)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", entry, err)
		}
		hour, _ := strconv.Atoi(m[2])
		minute, _ := strconv.Atoi(m[3])
		for day, name := range weekdays {
			if m[1] != "" && m[1] != name {
				continue
			}
			from := day*minutesOfDay + hour*60 + minute
			if slices.ContainsFunc(t, func(e timetableEntry) bool { return e.from == from }) {
				return nil, fmt.Errorf("%q: there is an entry for that time already", entry)
			}
			t = append(t, timetableEntry{from, rate})
		}
	}
	if len(t) == 0 {
		return nil, errRate
	}
	slices.SortFunc(t, func(a, b timetableEntry) int { return cmp.Compare(a.from, b.from) })
	return t, nil
}

// parseRate reads bytes a second, or off. A number alone is refused: to rclone it
// would be KiB.
func parseRate(text string) (int64, error) {
	if strings.EqualFold(text, "off") {
		return 0, nil
	}
	n, err := humanize.ParseBytes(strings.TrimSuffix(text, "/s"))
	switch {
	case err != nil, strings.Trim(text, "0123456789. ") == "":
		return 0, errRate
	case n < leastRate || n > math.MaxInt64:
		return 0, errors.New("must be 1KiB or more, or off")
	}
	return int64(n), nil
}

// bandwidth reads --bwlimit; nil if there is no limit at any time.
func (v *values) bandwidth() func(time.Time) int64 {
	if !v.c.IsSet("bwlimit") {
		return nil
	}
	t, err := parseTimetable(v.c.String("bwlimit"))
	if err != nil {
		v.refuse("bwlimit", err.Error())
		return nil
	}
	if !slices.ContainsFunc(t, func(e timetableEntry) bool { return e.rate != 0 }) {
		return nil
	}
	return func(now time.Time) int64 { return t.at(now.Local()) }
}

# "make demo" and "make test" need Go and make, nothing else. "make check" is
# what CI runs before "make integration", which installs the stores it needs.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# Real stores to test against, see internal/s3test/cmd/withstore.
BIN = .cache/bin
STORES = versitygw minio rclone
MINIO = github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
VERSITYGW = github.com/versity/versitygw/cmd/versitygw@v1.8.0
# Rclone's is a module of its own, which names its version; fmt sees it, vet and tidy do not.
RCLONE = ./internal/s3test/cmd/rclone

# cgo is on where a C compiler was found; the race detector needs one.
RACE = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)

# Each of the hundreds of starts of the program in the stories costs a second of CPU
# more with it, so only those run with it in which goroutines of cmd/s3up meet.
RACED = TestScripts//^(last|progress|real_folder|real_several|signals|stream|terminal|verbose)$$

# Peers to measure against: "make bench-peers". aws is taken from PATH, as are those
# that cannot be built.
PEERS = .cache/peers
S5CMD = github.com/peak/s5cmd/v2@v2.3.0
MC = github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9
# The same version as that of RCLONE, whole.
RCLONE_PEER = github.com/rclone/rclone@v1.76.0

.PHONY: bench bench-peers build demo test test-arch check fmt vet staticcheck govulncheck tidy integration soak clean

build:
	$(GO) build -o bin/s3up ./cmd/s3up

demo: build
	$(GO) run ./internal/s3test/cmd/demo bin/s3up

test:
	@$(if $(RACE),:,echo "*** no C compiler: the tests run WITHOUT the race detector ***" >&2)
	$(GO) test $(RACE) -vet off -timeout 40m ./internal/...
	$(GO) test -vet off -timeout 40m ./cmd/...
	$(if $(RACE),$(GO) test $(RACE) -vet off -run '$(RACED)' ./cmd/s3up)
	$(if $(RACE),$(GO) test -vet off -run Allocations ./internal/upload)

# The MD5 of internal/etag on other processors than this one: the assembly for
# arm64, and plain Go, on 32 bits too; there also what cuts and counts more bytes
# than an int holds, and the whole program as far as it builds. Emulators: qemu-user on
# Debian.
ARCHED = ^Test(Plan|Infer|StreamCut|Climb.*|PartsGrowWithTheFile|TooLargeToCopy|FirstPartAtOnce|HashAhead)$$
test-arch:
	@mkdir -p .cache; set -e; for pair in arm64:qemu-aarch64 arm:qemu-arm; do \
		arch=$${pair%:*} qemu=$${pair#*:}; \
		if ! command -v $$qemu >/dev/null; then echo "*** NOT TESTED on $$arch: there is no $$qemu ***" >&2; continue; fi; \
		echo "--- $$arch"; \
		CGO_ENABLED=0 GOARCH=$$arch $(GO) test -vet off -c -o .cache/etag-$$arch.test ./internal/etag; \
		(cd internal/etag && $$qemu ../../.cache/etag-$$arch.test); \
	done
	CGO_ENABLED=0 GOARCH=arm $(GO) build -o .cache/s3up-arm ./cmd/s3up
	@if command -v qemu-arm >/dev/null; then \
		set -e; CGO_ENABLED=0 GOARCH=arm $(GO) test -vet off -c -o .cache/upload-arm.test ./internal/upload; \
		(cd internal/upload && qemu-arm ../../.cache/upload-arm.test -test.run '$(ARCHED)'); \
	fi
	$(GO) test -vet off -tags purego ./internal/etag

check: fmt vet staticcheck govulncheck test tidy

fmt:
	@files=$$(gofmt -l cmd internal); test -z "$$files" || { echo "gofmt would change: $$files"; exit 1; }

vet:
	$(GO) vet ./...

staticcheck:
	@.ci/tool $(STATICCHECK) ./...

govulncheck:
	@.ci/tool $(GOVULNCHECK) ./...

tidy:
	$(GO) mod tidy -diff

# Where INSTALL_TIMEOUT is set, a store that could not be built within it is left
# out, loudly; without it, that is a failure. Other clients, whose objects are to be
# explained, are those that there are: see CLIENTS ("make .cache/bin/mc" for mc).
CLIENTS = aws s3cmd $(BIN)/rclone $(BIN)/mc
INTEGRATION = TestSuite|TestScripts|TestPassesUnchanged
integration: $(STORES:%=$(BIN)/%)
	@for client in $(CLIENTS); do command -v $$client >/dev/null || echo "*** NOT TESTED with what $$client stores: it is not here ***" >&2; done
	@set -e; for store in $(STORES); do \
		if [ ! -x $(BIN)/$$store ]; then echo "*** NOT TESTED against $$store: it is not built ***" >&2; continue; fi; \
		echo "--- $$store"; \
		$(GO) run ./internal/s3test/cmd/withstore -bin $(BIN) $$store \
			$(GO) test -count 1 -vet off -timeout 30m -run '$(INTEGRATION)' ./internal/upload ./internal/verify ./cmd/s3up ./internal/s3test/faultproxy; \
	done

# Random faults, kills, outages and writers at once, for DURATION against each
# store that is built: make soak DURATION=1h SEED=7 STORES="s3test minio"
# Also two writers, one of them held up in the midst of an upload; for s3test, every
# pair of calls without an answer, in every way, and a kill at each request of every
# flow, which take as long as they take.
# Neither with a SEED, which is for seeing a round again.
#
# With ten minutes or more, the store is gone for two minutes in one round, and
# stalls as long as the program waits by itself in another.
DURATION = 2m
SEED =
soak: STORES = s3test minio versitygw
soak:
	@set -e; for store in $(STORES); do \
		with="$(GO) run ./internal/s3test/cmd/withstore -bin $(BIN) $$store"; \
		all=$(if $(SEED),,yes); if [ $$store = s3test ]; then with=; \
		elif [ ! -x $(BIN)/$$store ]; then echo "*** NO SOAK against $$store: it is not built ***" >&2; continue; fi; \
		echo "--- $$store"; \
		S3UP_SOAK=$(DURATION) S3UP_SEED=$(SEED) $$with $(GO) test -count 1 -vet off -v -timeout 0 -run "^(TestSoak$${all:+|TestTwoProcesses})$$" ./cmd/s3up; \
		if [ "$$all" ] && [ $$store = s3test ]; then S3UP_SOAK=$(DURATION) $(GO) test -count 1 -vet off -timeout 0 -run '^(TestPairsOfFaults|TestKills)$$' ./internal/upload ./cmd/s3up; fi; \
	done

# Go benchmarks: the hash, and whole uploads to a store that keeps no bytes.
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./internal/etag ./internal/crc ./internal/upload ./internal/verify

# s3up beside other uploaders, as tables in Markdown: see docs/performance.md.
#
#	make bench-peers ROUNDS=5 ONLY='^http$$'
ROUNDS = 3
ONLY =
bench-peers: build $(PEERS)/rclone $(PEERS)/s5cmd $(PEERS)/mc
	$(GO) run ./internal/s3test/cmd/bench -s3up bin/s3up -bin $(PEERS) -rounds $(ROUNDS) -only '$(ONLY)'

$(PEERS)/rclone:
	-.ci/install $(PEERS) $(RCLONE_PEER)

$(PEERS)/s5cmd:
	-.ci/install $(PEERS) $(S5CMD)

$(PEERS)/mc:
	-.ci/install $(PEERS) $(MC)

$(BIN)/mc:
	.ci/install $(BIN) $(MC)

$(BIN)/minio:
	.ci/install $(BIN) $(MINIO)

$(BIN)/versitygw:
	.ci/install $(BIN) $(VERSITYGW)

$(BIN)/rclone: $(wildcard $(RCLONE)/*)
	.ci/install $(BIN) $(RCLONE)

clean:
	rm -rf bin .cache

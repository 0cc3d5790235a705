# The front door; meson.build does the work.
BUILD = build
MESON_FLAGS =
.PHONY: all test demo bench lint lint-deep fuzz clean install

all: $(BUILD)/hitless

$(BUILD)/build.ninja:
	@tools/need build
	meson setup $(BUILD) $(MESON_FLAGS) >/dev/null

.PHONY: $(BUILD)/hitless
$(BUILD)/hitless: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

test: # every test; `make test ONLY=unit` runs one stage
	@tools/need test
	@python3 tests/run.py $(ONLY)

demo: all # the main job: five releases under load, two of them bad
	@$(BUILD)/hitless demo

bench: all # one JSON line a figure, beside haproxy and nginx
	@tools/need bench
	@ninja -C $(BUILD) --quiet
	@python3 bench/run.py $(ONLY)

lint:
	@python3 tests/run.py lint

lint-deep: all # clang's path analyzer as well; some ten minutes
	@python3 tools/tidy.py $(BUILD) 2 --deep

fuzz: # half a minute a parser
	@python3 tests/run.py fuzz

install: all
	install -D -m 0755 $(BUILD)/hitless $(DESTDIR)/usr/local/bin/hitless

clean:
	rm -rf build build-*

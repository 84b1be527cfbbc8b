# Shortcuts; the build itself is CMakeLists.txt.
all:
	@cmake --preset release >/dev/null
	@cmake --build build -j --target artel
check: ; ./check.sh
demo: ; ./demo.sh
format: ; git ls-files '*.[ch]' | xargs clang-format -i
clean: ; rm -rf build
.PHONY: all check demo format clean

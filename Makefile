# Everything that working on Flow Inpaint needs, made inside this clone. `make help` lists the targets.
#
#   PYTHON=PATH   the Python to make environments with (default: python3.11, else python3)
#   ARGS="..."    more arguments for pytest: make test ARGS="-k matte -x"
#   AT_ONCE=N     tests that run at a time, each with a gigabyte or less (default: 3; 0: one after the other, in this process)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BLENDERS := 5.0.1 4.2.23
ALL_BLENDERS := $(BLENDERS) 4.5.15
AT_ONCE := 3
DEMO_BLENDER := 5.0.1
PIP := -m pip --disable-pip-version-check --quiet

# What bpy is linked against and its wheel does not bring: library:Debian package
LIBRARIES := libX11.so.6:libx11-6 libXrender.so.1:libxrender1 libXfixes.so.3:libxfixes3 libXi.so.6:libxi6 \
    libxkbcommon.so.0:libxkbcommon0 libSM.so.6:libsm6 libGL.so.1:libgl1 libXxf86vm.so.1:libxxf86vm1 libgomp.so.1:libgomp1

blender_stamp = .blender/bpy-$(1)/.installed
blender_stamps = $(foreach version,$(1),$(call blender_stamp,$(version)))
blender_pythons = $(subst : ,:,$(foreach version,$(1),$(CURDIR)/.blender/bpy-$(version)/bin/python:))

# $(call pick_python,CONDITION,WORDS): sets $$python to the first one whose version v meets the condition and that can make
# virtual environments, or says what to install.
define pick_python
python="" seen="" bare=""
for candidate in $(or $(PYTHON),python3.11 python3); do
    version=$$("$$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
    seen="$$seen$${seen:+, }$$candidate is $$version"
    "$$candidate" -c 'import sys; v = sys.version_info[:2]; sys.exit(not ($(1)))' || continue
    if "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then python=$$candidate; break; fi
    bare=$${version%.*}
done
if [ -z "$$python" ] && [ -n "$$bare" ]; then
    echo "Python $$bare is here, but it cannot make virtual environments: apt-get install python$$bare-venv" >&2
    exit 1
elif [ -z "$$python" ]; then
    echo "$(2) is needed; here $${seen:-there is no $(or $(PYTHON),python3)}." >&2
    echo "Install it (Debian 12: apt-get install python3.11 python3.11-venv; elsewhere: uv python install 3.11, or python.org)," >&2
    echo "or say where it is: make PYTHON=/path/to/python3.11 ..." >&2
    exit 1
fi
endef

.PHONY: help setup blender test test-all soak fuzz demo demo-shot clean

help:
	@cat <<'TEXT'
	make setup       .venv with the engine and the command flow-inpaint in it (.venv/bin/flow-inpaint)
	make demo        takes the car out of the demo shot in a real Blender; look at demo/ (ten minutes at most, with downloads)
	make test        all tests, with Blender $(BLENDERS)
	make test-all    the same with Blender $(ALL_BLENDERS), and with a real 5.2 in a window (needs root and debootstrap)
	make soak        an hour of jobs that are killed, stopped and gone on with; make soak SECONDS=600 for ten minutes
	make fuzz        damaged files, job documents and requests for ten minutes, and our parsers for nine more where atheris is
	                 installed; make fuzz MINUTES=60 for six times as long
	make blender     only the Blenders for the tests, as Python modules in .blender; make blender-4.5.15 for one of them
	make demo-shot   renders the clip of the demo again, with Blender $(DEMO_BLENDER) (about half an hour)
	make clean       removes everything that these have made
	TEXT

# ---- the engine's environment

# The stamp names the folder that it was made in: a clone that was moved or copied, or whose Python is gone, installs itself again.
ifneq ($(CURDIR),$(shell $(VENV)/bin/python -c 'print(open("$(VENV)/.installed").read().strip())' 2>/dev/null))
.PHONY: $(VENV)/.installed
endif

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt engine/flow_inpaint/__init__.py
	@if ! $(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
	    $(call pick_python,v >= (3$(comma) 11),Python 3.11 or later)
	    echo "Making $(VENV) with $$python ($$version)"
	    rm -rf $(VENV)
	    "$$python" -m venv $(VENV)
	fi
	rm -f $@
	$(VENV)/bin/python $(PIP) install --constraint constraints.txt setuptools --editable .
	echo "$(CURDIR)" >$@
	echo "Ready: $(VENV)/bin/flow-inpaint"

# The tests want PyTorch too, which the engine does without.
$(VENV)/.with_tests: $(VENV)/.installed
	@echo "Adding PyTorch and what the tests need"
	$(VENV)/bin/python $(PIP) install --constraint constraints.txt --editable '.[test]'
	touch $@

# ---- Blenders as Python modules

blender: $(call blender_stamps,$(BLENDERS))

blender-%: .blender/bpy-%/.installed
	@echo "Blender $*: .blender/bpy-$*/bin/python"

# Each has the NumPy that Blender 4.5 and 5.0 ship: what is tested is what users have.
.PRECIOUS: .blender/bpy-%/.installed
.blender/bpy-%/.installed: | .blender/libraries
	@$(call pick_python,v == (3$(comma) 11),Python 3.11 (no other: Blender $* as a Python module is made for it))
	echo "Installing Blender $* in $(@D)"
	trap 'rm -rf $(@D)' ERR INT TERM
	rm -rf $(@D)
	"$$python" -m venv $(@D)
	if ! $(@D)/bin/python $(PIP) install --no-compile bpy==$* numpy==1.26.4; then
	    echo "Blender $* cannot be installed: this needs a network, and Linux on x86-64 with glibc 2.28 or later" >&2
	    false
	fi
	$(@D)/bin/python -c 'import bpy; assert bpy.app.version_string.startswith("$*"), bpy.app.version_string'
	touch $@

.blender/libraries:
	@known=$$(PATH="$$PATH:/usr/sbin:/sbin" ldconfig -p 2>/dev/null || true)
	missing="" packages=""
	for pair in $(LIBRARIES); do
	    [[ $$known == *"$${pair%:*} "* ]] || { missing="$$missing $${pair%:*}"; packages="$$packages $${pair#*:}"; }
	done
	if [ -n "$$missing" ] && ! command -v apt-get >/dev/null; then
	    echo "Blender needs libraries that are not on this system: install$$missing" >&2
	    exit 1
	elif [ -n "$$missing" ] && [ "$$(id -u)" != 0 ]; then
	    echo "Blender needs libraries that are not on this system. Run: sudo apt-get install$$packages" >&2
	    exit 1
	elif [ -n "$$missing" ]; then
	    echo "Installing the libraries that Blender needs:$$packages"
	    apt-get update -qq
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null
	fi
	mkdir -p $(@D)
	touch $@

# ---- tests and demo

test: $(VENV)/.with_tests blender
	@FLOW_INPAINT_BPY_PYTHONS="$(call blender_pythons,$(BLENDERS))" $(VENV)/bin/python -m pytest --numprocesses $(AT_ONCE) --dist loadgroup $(ARGS)

test-all: $(VENV)/.with_tests $(call blender_stamps,$(ALL_BLENDERS))
	@FLOW_INPAINT_BPY_PYTHONS="$(call blender_pythons,$(ALL_BLENDERS))" $(VENV)/bin/python -m pytest --numprocesses $(AT_ONCE) --dist loadgroup $(ARGS)
	tests/blender/real_blender.sh

SECONDS_OF_SOAK = $(or $(SECONDS),3600)

soak: setup
	@$(VENV)/bin/python tests/soak/soak.py --seconds $(SECONDS_OF_SOAK)

# A third of the time for documents and requests, the rest for files; then a tenth of it for each of our own parsers, guided by coverage,
# where atheris is installed (pip install atheris). What goes wrong is kept in build/fuzz.
MINUTES := 10

fuzz: $(VENV)/.with_tests
	@$(VENV)/bin/python tests/fuzz/campaign.py --seconds $$(($(MINUTES) * 40))
	$(VENV)/bin/python tests/fuzz/documents.py --seconds $$(($(MINUTES) * 20))
	$(VENV)/bin/python tests/fuzz/guided.py --seconds $$(($(MINUTES) * 6))

demo: setup $(call blender_stamp,$(DEMO_BLENDER))
	@$(VENV)/bin/python tests/demo/make_demo.py .blender/bpy-$(DEMO_BLENDER)/bin/python demo

# Writes engine/flow_inpaint/demo_shot/{source.mp4,truth.mp4,matte.mkv}; the rendered pictures stay in build/demo_shot.
demo-shot: setup $(call blender_stamp,$(DEMO_BLENDER))
	.blender/bpy-$(DEMO_BLENDER)/bin/python tests/demo_shot/make_shot.py build/demo_shot
	$(VENV)/bin/python tests/demo_shot/encode_shot.py build/demo_shot

clean:
	rm -rf $(VENV) .blender build dist demo .pytest_cache .hypothesis .ruff_cache engine/*.egg-info
	find blender_addon engine tests -name __pycache__ -prune -exec rm -rf {} +

comma := ,

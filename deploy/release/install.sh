#!/bin/sh
# Installs the program synthesis @VERSION@ for this machine. It needs tar, gzip, a program that computes SHA-256, and
# curl or wget if the files are not on this machine.
#
#   install.sh [--from FOLDER_OR_URL] [--to FOLDER]
#
# --from  where SHA256SUMS and the packages are: by default the folder of this script, if they are there, and otherwise
#         @URL@
# --to    where the program goes: by default ~/.local/bin
set -eu

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

target() {
  system=$(uname -s)
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) cpu=x64 ;;
    aarch64 | arm64) cpu=arm64 ;;
    *) cpu= ;;
  esac
  case $system in
    Linux)
      os=linux
      # musl's ldd prints its name and exits with 1.
      libc=$(ldd --version 2>&1 || true)
      case $libc in *musl*) cpu=${cpu:+$cpu-musl} ;; esac
      ;;
    Darwin)
      os=darwin
      # A shell under Rosetta says x86_64.
      [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || true)" != 1 ] || cpu=arm64
      ;;
    *) os= ;;
  esac
  [ -n "$os" ] && [ -n "$cpu" ] || fail "There is no synthesis for $system $machine, only for: @TARGETS@. Clone the repository and run it with Bun: bun run start."
  printf '%s-%s\n' "$os" "$cpu"
}

# Copies or downloads the file $1 to $2.
get() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl -fsSL -o "$2" "$from/$1" || fail "$from/$1 could not be downloaded."
      elif has wget; then
        wget -q -O "$2" "$from/$1" || fail "$from/$1 could not be downloaded."
      else
        fail "curl or wget is needed to download $from/$1. Install one, or download the files and name their folder with --from."
      fi
      ;;
    *) cp "$from/$1" "$2" 2>/dev/null || fail "$from/$1 could not be read. Name the folder that has it with --from." ;;
  esac
}

sha256() {
  if has sha256sum; then
    sha256sum <"$1"
  elif has shasum; then
    shasum -a 256 <"$1"
  elif has openssl; then
    openssl dgst -sha256 -r <"$1"
  else
    fail "sha256sum, shasum or openssl is needed to check the download. Install one."
  fi
}

# Everything is in a function, so that a script that arrives only in part does nothing.
main() {
  from=
  to=
  while [ $# -gt 0 ]; do
    case $1 in
      --from | --to) [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value." ;;
    esac
    case $1 in
      --from) from=${2%/} ;;
      --to) to=$2 ;;
      *) fail "install.sh does not know $1. It takes --from FOLDER_OR_URL and --to FOLDER." ;;
    esac
    shift 2
  done
  if [ -z "$from" ]; then
    here=${0%/*}
    if [ "${0##*/}" = install.sh ] && [ -f "$here/SHA256SUMS" ]; then from=$here; else from=@URL@; fi
  fi
  if [ -z "$to" ]; then
    [ -n "${HOME:-}" ] || fail "HOME is not set. Name the folder for the program with --to."
    to=$HOME/.local/bin
  fi
  id=$(target)
  tarball=@TARBALL@

  mkdir -p "$to" || fail "The folder $to cannot be made. Name another one with --to."
  # In the same folder, so that the last step replaces the program in one moment, also while it runs.
  work=$(mktemp -d "$to/.synthesis-XXXXXX") || fail "Nothing can be written in $to. Name another folder with --to."
  trap 'rm -rf "$work"' EXIT
  trap 'exit 1' HUP INT TERM
  get SHA256SUMS "$work/SHA256SUMS"
  expected=$(while read -r sum file; do [ "${file#\*}" != "$tarball" ] || printf '%s\n' "$sum"; done <"$work/SHA256SUMS")
  [ -n "$expected" ] || fail "SHA256SUMS in $from has no line for $tarball, so that there is no build for $id."
  get "$tarball" "$work/$tarball"
  found=$(sha256 "$work/$tarball")
  [ "${found%% *}" = "$expected" ] || fail "$tarball is damaged: its SHA-256 is ${found%% *} and not $expected. Nothing was installed. Download it again."
  tar -xzf "$work/$tarball" -C "$work" package/synthesis || fail "$tarball could not be unpacked. Nothing was installed."
  chmod 755 "$work/package/synthesis"
  "$work/package/synthesis" --version >/dev/null || fail "The program for $id does not run on this machine. Nothing was installed. On Alpine it needs libstdc++: apk add libstdc++."
  mv -f "$work/package/synthesis" "$to/synthesis"
  printf 'Installed synthesis @VERSION@ as %s\n' "$to/synthesis"
  case :${PATH:-}: in
    *:"$to":*) ;;
    *) printf '%s is not on PATH. Add it, or start the program with its whole path.\n' "$to" ;;
  esac
}

main "$@"

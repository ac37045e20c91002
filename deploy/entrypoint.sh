#!/bin/sh
# Prepares the volume at the first start, and becomes the server.
set -eu
: "${CLAUDE_CONFIG_DIR:?}" "${HOME:?}" "${SYNTHESIS_HOME:?}"
umask 077
mkdir -p "$CLAUDE_CONFIG_DIR" "$HOME" "$SYNTHESIS_HOME"
if [ ! -e "$CLAUDE_CONFIG_DIR/.claude.json" ]; then
  # At its first start in a terminal, Claude Code asks for a theme and a login. No one can answer in a container, and the
  # login is CLAUDE_CODE_OAUTH_TOKEN.
  echo '{"hasCompletedOnboarding": true, "theme": "dark"}' >"$CLAUDE_CONFIG_DIR/.claude.json"
  echo "Claude Code's first start is marked as done in $CLAUDE_CONFIG_DIR/.claude.json." >&2
fi
if [ -n "${SYNTHESIS_DATABASE:-}" ]; then
  # The nodes of a fleet share their keys. As secrets of the container they belong to another user, so they are copied.
  for key in chat.key control.key keys.json; do
    [ ! -e "/run/secrets/$key" ] || install -m 600 "/run/secrets/$key" "$SYNTHESIS_HOME/$key"
  done
  synthesis nodes join
fi
exec "$@"

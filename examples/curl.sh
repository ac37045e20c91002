#!/bin/sh
# Sends one message and prints the answer as it is streamed: sh examples/curl.sh "Hello"
set -eu
url=${SYNTHESIS_URL:-http://127.0.0.1:18990/v1}
key=${SYNTHESIS_API_KEY:-$(cat "${SYNTHESIS_HOME:-$HOME/.synthesis}/chat.key")}
text=$(printf '%s' "${1:-Tell me a story in ten lines.}" | sed 's/[\\"]/\\&/g')

curl --no-buffer --silent --show-error --fail-with-body "$url/chat/completions" \
  -H "Authorization: Bearer $key" \
  -H 'Content-Type: application/json' \
  -d "{\"stream\": true, \"user\": \"curl\", \"messages\": [{\"role\": \"user\", \"content\": \"$text\"}]}"

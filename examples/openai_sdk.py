"""Two messages of one conversation, with OpenAI's SDK: python3 examples/openai_sdk.py"""
import os
from pathlib import Path

from openai import OpenAI

home = Path(os.environ.get("SYNTHESIS_HOME", Path.home() / ".synthesis"))
client = OpenAI(
    base_url=os.environ.get("SYNTHESIS_URL", "http://127.0.0.1:18990/v1"),
    api_key=os.environ.get("SYNTHESIS_API_KEY") or (home / "chat.key").read_text().strip(),
)


def say(content):
    stream = client.chat.completions.create(
        model="synthesis-claude-bridge",
        stream=True,
        # Names the conversation: the same Claude answers every message of this user.
        user="python-example",
        messages=[{"role": "user", "content": content}],
    )
    for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


say("My favourite colour is green.")
say("What is my favourite colour?")

/** One permission question: everything that Claude wants to do, and the three answers. */
import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { visibleJson, visibleLine, visibleText } from "../core/visible-text.ts";
import type { PermissionPromptDetails, PermissionVerdict } from "../wire/permissions.ts";
import { messageOf } from "./access.ts";
import { conversationName, count } from "./format.ts";
import { conversations } from "./live.ts";
import { Ago, mayDecide, Problem, Scroll } from "./parts.tsx";
import { decide } from "./permission-verdict.ts";
import { conversationHref } from "./route.ts";
import { suggestRule } from "./rule-suggestion.ts";

export function PermissionCard({ prompt }: { readonly prompt: PermissionPromptDetails }) {
  const { tool, session, description, content, input, sender, asked_at } = prompt;
  const title = useId();
  const isSending = useSignal(false);
  const problem = useSignal<string | null>(null);
  const conversation = conversations.value.get(session);

  const answer = async (verdict: PermissionVerdict) => {
    isSending.value = true;
    problem.value = null;
    try {
      await decide(prompt, verdict);
      // The card leaves with its verdict, and would take the focus with it.
      document.querySelector("h1")?.focus();
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      isSending.value = false;
    }
  };
  const isOff = isSending.value || !mayDecide();

  return (
    <article class="card prompt" aria-labelledby={title}>
      <h2 id={title}>
        May Claude use <strong>{visibleLine(tool)}</strong>?
      </h2>
      <p class="note">
        <a href={conversationHref(session)}>{conversationName(conversation ?? { chat: null, key: session })}</a>
        {sender !== null && ` · asked for ${visibleLine(sender)}`} · <Ago at={asked_at} />
      </p>
      <Scroll of="input" label="What Claude wants to do">
        <pre>{description}</pre>
      </Scroll>
      {content && (
        <>
          <Scroll of="input" label="Content">
            <pre>{visibleText(content.text)}</pre>
          </Scroll>
          <p class="note">
            {count(content.bytes)} bytes, SHA-256 {content.sha256}
          </p>
        </>
      )}
      {input !== undefined && (
        <details>
          <summary>The whole input</summary>
          <Scroll of="input" label="The whole input">
            <pre>{visibleJson(input)}</pre>
          </Scroll>
        </details>
      )}
      <Problem message={problem.value} />
      <div class="actions">
        <button type="button" class="primary" disabled={isOff} onClick={() => answer({ behavior: "allow" })}>
          Allow once
        </button>
        <button type="button" class="danger" disabled={isOff} onClick={() => answer({ behavior: "deny" })}>
          Deny
        </button>
      </div>
      <AllowWithRule tool={tool} input={input} isOff={isOff} onAllow={(rule) => answer({ behavior: "allow", rule })} />
    </article>
  );
}

interface AllowWithRuleProps {
  readonly tool: string;
  readonly input: unknown;
  readonly isOff: boolean;
  readonly onAllow: (rule: string) => void;
}

function AllowWithRule({ tool, input, isOff, onAllow }: AllowWithRuleProps) {
  const rule = useSignal(suggestRule(tool, input));
  const hint = useId();
  return (
    <details>
      <summary>Allow with a rule</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onAllow(rule.value.trim());
        }}
      >
        <label>
          Rule
          <input
            type="text"
            required
            spellcheck={false}
            autocapitalize="off"
            autocomplete="off"
            aria-describedby={hint}
            placeholder="Bash(git push *)"
            value={rule.value}
            onInput={({ currentTarget }) => {
              rule.value = currentTarget.value;
            }}
          />
        </label>
        <p class="note" id={hint}>
          Claude Code's own form. Whatever the rule matches is allowed in this conversation until it is reset. A star
          stands for anything.
        </p>
        <button type="submit" disabled={isOff}>
          Allow with this rule
        </button>
      </form>
    </details>
  );
}

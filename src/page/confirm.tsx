/** A button that asks again before it acts. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { messageOf } from "./access.ts";
import { Problem } from "./parts.tsx";

interface ConfirmProps {
  /** The text of the button, such as `Delete…`. */
  readonly label: string;
  readonly title: string;
  /** What will happen. */
  readonly children: ComponentChildren;
  /** The text of the button that does it. */
  readonly action: string;
  readonly disabled: boolean;
  readonly onConfirm: () => Promise<unknown>;
}

export function Confirm({ label, title, children, action, disabled, onConfirm }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isSending = useSignal(false);
  const problem = useSignal<string | null>(null);

  const confirm = async () => {
    isSending.value = true;
    problem.value = null;
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      isSending.value = false;
    }
  };

  return (
    <>
      <button type="button" class="danger" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-label={title}>
        <h2>{title}</h2>
        <div>{children}</div>
        <Problem message={problem.value} />
        <div class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="button" class="danger" disabled={isSending.value} onClick={confirm}>
            {action}
          </button>
        </div>
      </dialog>
    </>
  );
}

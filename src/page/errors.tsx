/** The newest errors, each with what to do about it. */
import { errors } from "./live.ts";
import { Ago, Empty, Prose } from "./parts.tsx";
import { conversationHref } from "./route.ts";

export const Errors = () =>
  errors.value.length === 0 ? (
    <Empty>No request has failed since the server started.</Empty>
  ) : (
    <ul class="errors">
      {errors.value.map(({ id, at, session, code, message }) => (
        <li key={id} class="card">
          <p>
            <code>{code}</code>{" "}
            <span class="note">
              <Ago at={at} />
              {session !== null && (
                <>
                  {" · "}
                  <a href={conversationHref(session)}>{session}</a>
                </>
              )}
            </span>
          </p>
          <p>
            <Prose text={message} />
          </p>
        </li>
      ))}
    </ul>
  );

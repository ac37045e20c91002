/** Calls of OpenClaw's gateway over its own WebSocket protocol, which `openclaw gateway call` takes seconds to start for. */

const PROTOCOL = 4;
const CLIENT = { id: "gateway-client", version: "1", platform: process.platform, mode: "backend" };
const SCOPES = ["operator.admin", "operator.read", "operator.write"];

interface Frame {
  readonly type: "req" | "res" | "event";
  readonly id?: string;
  readonly event?: string;
  readonly ok?: boolean;
  readonly payload?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/**
 * Calls one method on a connection of its own.
 * @param token the gateway's shared token
 * @returns the payload of the response. Rejects with the gateway's error, or when the connection closes.
 */
export function callGateway<T>(port: number, token: string, method: string, params: object): Promise<T> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const request = (id: string, name: string, body: object) =>
    socket.send(JSON.stringify({ type: "req", id, method: name, params: body }));
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as Frame;
    if (frame.event === "connect.challenge") {
      request("connect", "connect", {
        minProtocol: PROTOCOL,
        maxProtocol: PROTOCOL,
        client: CLIENT,
        role: "operator",
        scopes: SCOPES,
        auth: { token },
      });
    } else if (frame.type === "res" && !frame.ok) reject(new Error(`${method}: ${frame.error?.message}`));
    else if (frame.id === "connect") request("call", method, params);
    else if (frame.id === "call") resolve(frame.payload as T);
  };
  socket.onclose = ({ code, reason }) =>
    reject(new Error(`${method}: the gateway closed the connection (${code} ${reason})`));
  return promise.finally(() => socket.close());
}

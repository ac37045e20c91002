/** The nodes of the fleet, if the server is one of them. */
import type { LiveOverview } from "../wire/live.ts";
import { count } from "./format.ts";
import { Scroll } from "./parts.tsx";

export const Nodes = ({ nodes }: Pick<LiveOverview, "nodes">) =>
  nodes.length === 0 ? null : (
    <section aria-labelledby="nodes">
      <h2 id="nodes">Nodes</h2>
      <Scroll of="scroll" label="Nodes">
        <table>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">State</th>
              <th scope="col">Processes</th>
              <th scope="col">Messages that wait</th>
              <th scope="col">Version</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map(({ name, draining, running, limit, waiting, version }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{draining ? "draining" : "live"}</td>
                <td>
                  {count(running)} of {count(limit)}
                </td>
                <td>{count(waiting)}</td>
                <td>{version}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );

/** The files of deploy/ for a fleet agree with each other and with the settings. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { environmentName, settingNames } from "../../src/config/setting-names.ts";

interface Service {
  readonly image?: string;
  readonly environment?: Record<string, string>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
}

const deploy = (file: string) => readFileSync(join(import.meta.dir, "../../deploy", file), "utf8");
const { services, volumes } = Bun.YAML.parse(deploy("fleet-compose.yaml")) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const nodes = Object.entries(services).filter(([name]) => name.startsWith("node-"));
const haproxy = deploy("haproxy.cfg");

test("the fleet of compose has three nodes, whose settings exist", () => {
  expect(nodes).toHaveLength(3);
  for (const [name, { environment = {} }] of nodes) {
    const own = Object.keys(environment).filter((variable) => variable.startsWith("SYNTHESIS_"));
    expect(settingNames.map(environmentName)).toEqual(expect.arrayContaining(own));
    expect(environment).toMatchObject({
      SYNTHESIS_NODE_NAME: name,
      SYNTHESIS_NODE_URL: `https://${name}:18991`,
      SYNTHESIS_NODE_LISTEN: "0.0.0.0:18991",
    });
  }
});

test("the nodes share the workspaces, and nothing else of their disks or their logins", () => {
  for (const [name, { volumes: own }] of nodes) expect(own).toEqual([`${name}:/data`, "workspace:/workspace"]);
  const tokens = nodes.map(([, { environment }]) => environment?.CLAUDE_CODE_OAUTH_TOKEN);
  expect(new Set(tokens).size).toBe(nodes.length);
  expect(Object.keys(volumes)).toEqual([...nodes.map(([name]) => name), "workspace", "postgres"]);
  expect(deploy("Dockerfile")).toContain("/data /workspace");
});

test("HAProxy knows the nodes of compose, at the port of the Dockerfile", () => {
  const known = [...haproxy.matchAll(/^ {2}server (\S+) (\S+) /gm)].map(([, name, address]) => ({ name, address }));
  const expected = nodes.map(([name]) => ({ name, address: `${name}:8080` }));
  expect(known).toEqual([...expected, ...expected]);
  expect(deploy("Dockerfile")).toContain("SYNTHESIS_LISTEN=0.0.0.0:8080");
  expect(haproxy).toContain("bind :8080");
  expect(services.synthesis?.ports).toEqual(["127.0.0.1:8080:8080"]);
});

test("HAProxy waits longer than the longest turn, and a stop longer than the drain", () => {
  const minutesIn = (file: string, setting: RegExp) => Number(setting.exec(deploy(file))?.[1]);
  const turn = defaults(pathsFor("/")).turnTimeoutMs / 60_000;
  for (const timeout of [/timeout client (\d+)m$/m, /timeout server (\d+)m$/m, /hard-stop-after (\d+)m$/m]) {
    expect(minutesIn("haproxy.cfg", timeout)).toBeGreaterThan(turn);
  }
  const drain = Number(nodes[0]?.[1].environment?.SYNTHESIS_DRAIN_MS) / 60_000;
  expect(minutesIn("fleet-compose.yaml", /stop_grace_period: (\d+)m$/m)).toBeGreaterThan(drain);
  expect(minutesIn("synthesis@.service", /^TimeoutStopSec=(\d+)min$/m)).toBeGreaterThan(drain);
});

/** The patches for OpenClaw's configuration. */
import { describe, expect, test } from "bun:test";
import { MODEL_REF, type ModelChoice, type OpenClawConfig, ourProvider } from "../../src/setup/openclaw-config.ts";
import { patchesToAdd, patchesToRemove } from "../../src/setup/openclaw-patches.ts";

const add = (config: OpenClawConfig, asDefault = false) =>
  patchesToAdd(config, {
    baseUrl: "http://127.0.0.1:9/v1",
    key: "sk-synthesis-0123456789",
    keySource: "/state/chat.key",
    asDefault,
  });

/** The configuration after the patches of a first setup, without anything else. */
const afterSetup = (): OpenClawConfig => add({}).patches[0] as OpenClawConfig;
const ourModels = () => ourProvider(afterSetup())?.models;

const withModel = (model: ModelChoice, allow?: string[]): OpenClawConfig => ({
  ...afterSetup(),
  agents: { defaults: { model, ...(allow ? { modelPolicy: { allow } } : {}) } },
});

describe("patchesToAdd", () => {
  test("adds the whole provider, and shows where the key is but not the key", () => {
    const { patches, lines } = add({});
    expect(patches).toMatchObject([
      { models: { providers: { synthesis: { baseUrl: "http://127.0.0.1:9/v1", apiKey: "sk-synthesis-0123456789" } } } },
    ]);
    expect(lines).toEqual([expect.stringMatching(/^\+ models\.providers\.synthesis: .*\/state\/chat\.key$/)]);
    expect(lines.join()).not.toContain("sk-synthesis");
  });

  test("changes nothing the second time", () => {
    expect(add(afterSetup())).toEqual({ patches: [], lines: [] });
  });

  test("corrects only the fields that are wrong", () => {
    const config = afterSetup();
    Object.assign(config.models?.providers?.synthesis as object, {
      baseUrl: "http://127.0.0.1:1/v1",
      timeoutSeconds: 60,
    });
    expect(add(config).patches).toEqual([
      { models: { providers: { synthesis: { baseUrl: "http://127.0.0.1:9/v1" } } } },
    ]);
  });

  test("adds the API and the time limit to a provider of an earlier version, and shows both", () => {
    const synthesis = { baseUrl: "http://127.0.0.1:9/v1", apiKey: "sk-synthesis-0123456789", models: ourModels() };
    const { patches, lines } = add({ models: { providers: { synthesis } } });
    expect(patches).toEqual([
      { models: { providers: { synthesis: { api: "openai-completions", timeoutSeconds: 3600 } } } },
    ]);
    expect(lines).toEqual([
      "+ models.providers.synthesis.api: openai-completions",
      "+ models.providers.synthesis.timeoutSeconds: 3600",
    ]);
  });

  test.each<[what: string, model: ModelChoice, patch: ModelChoice]>([
    ["a name", "other/model", MODEL_REF],
    ["an object, whose other fields stay", { primary: "other/model", fallbacks: ["b"] }, { primary: MODEL_REF }],
  ])("makes our model the default where the default is %s", (_what, model, patch) => {
    expect(add(withModel(model), true).patches).toEqual([{ agents: { defaults: { model: patch } } }]);
  });

  test("allows our model where the allowed models are listed", () => {
    expect(add(withModel("a", ["a"])).patches).toEqual([
      { agents: { defaults: { modelPolicy: { allow: ["a", MODEL_REF] } } } },
    ]);
  });

  test.each([[[]], [[MODEL_REF]], [["synthesis/*"]]])("leaves the allowed models %j as they are", (allow: string[]) => {
    expect(add(withModel("a", allow)).patches).toEqual([]);
  });
});

describe("patchesToRemove", () => {
  test("removes nothing when there is nothing of ours", () => {
    expect(patchesToRemove({ agents: { defaults: { model: "a" } } }, null)).toEqual({ patches: [], lines: [] });
  });

  test("restores the former default model and the allowed models, and then removes the provider", () => {
    const { patches } = patchesToRemove(withModel(MODEL_REF, ["a", MODEL_REF]), "a");
    expect(patches).toEqual([
      { patch: { agents: { defaults: { model: "a", modelPolicy: { allow: ["a"] } } } } },
      {
        patch: { models: { providers: { synthesis: { models: [] } } } },
        replaced: "models.providers.synthesis.models",
      },
      { patch: { models: null } },
    ]);
  });

  test("keeps other providers", () => {
    const { models } = afterSetup();
    const config = { models: { providers: { ...models?.providers, other: {} } } };
    expect(patchesToRemove(config, null).patches.at(-1)).toEqual({
      patch: { models: { providers: { synthesis: null } } },
    });
  });
});

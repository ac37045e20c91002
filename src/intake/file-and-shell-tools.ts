/**
 * Recognises the tools with which a coding client reads and changes files and runs commands. Every client names them
 * differently: a name has to say what the tool does, and a parameter what it does it to.
 */
import type { ClientTool } from "../core/tools.ts";

/** Whether this is a tool for the files or the shell of the client's machine. */
export function isFileOrShellTool({ name, parameters }: ClientTool): boolean {
  const words = wordsOf(name);
  const { properties } = parameters ?? {};
  const fields = typeof properties === "object" && properties !== null ? Object.keys(properties).map(plain) : [];
  const has = (wanted: ReadonlySet<string>) => fields.some((field) => wanted.has(field));
  return KINDS.some(({ whole, verbs, nouns, needs }) => {
    const isNamed =
      whole.has(words.join("")) || (words.some((word) => verbs.has(word)) && words.some((word) => nouns.has(word)));
    return isNamed && has(needs);
  });
}

const set = (words: string): ReadonlySet<string> => new Set(words.split(" "));

const PATHS =
  "path paths file files filepath filepaths filename targetfile absolutepath relativepath relativeworkspacepath " +
  "targetpath directory dir dirpath directorypath folder targetdirectory uri";

/** A tool is one of these kinds if its name is in `whole`, or has a verb and a noun, and it has one of the parameters. */
const KINDS: readonly {
  readonly whole: ReadonlySet<string>;
  readonly verbs: ReadonlySet<string>;
  readonly nouns: ReadonlySet<string>;
  readonly needs: ReadonlySet<string>;
}[] = [
  // Shells.
  {
    whole: set("bash shell terminal exec powershell cmd localshell shellcommand unifiedexec"),
    verbs: set("run execute exec call use local"),
    nouns: set("command commands cmd bash shell terminal powershell"),
    needs: set("command commands cmd cmds script action"),
  },
  // Changes of files.
  {
    whole: set(
      "write edit multiedit patch replace create strreplaceeditor strreplacebasededittool texteditor insertcontent searchandreplace findandreplace singlefindandreplace",
    ),
    verbs: set("write edit multi create modify replace insert delete remove rename move copy append apply update save"),
    nouns: set("file files patch diff directory dir folder text"),
    needs: set(`${PATHS} source sourcepath oldpath`),
  },
  // Patches name their files inside.
  {
    whole: set("patch applypatch applydiff"),
    verbs: set("apply"),
    nouns: set("patch diff"),
    needs: set("patch patchtext input diff patchcontent"),
  },
  // Files that are read or listed.
  {
    whole: set("read view ls list cat tree readfile"),
    verbs: set("read view open list get show cat"),
    nouns: set("file files dir directory folder directories"),
    needs: set(PATHS),
  },
  // Files that are searched.
  {
    whole: set("grep glob ripgrep rg"),
    verbs: set("search find grep glob file"),
    nouns: set("file files grep glob content filesystem directory"),
    needs: set("pattern query regex glob include globpattern regexpattern"),
  },
];

/** The words of a name, without the name of a server or namespace before it: `fs__readFile` has `read` and `file`. */
const wordsOf = (name: string): readonly string[] =>
  (name.split(/__|[.:/]/).at(-1) ?? name)
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");

const plain = (field: string): string => field.toLowerCase().replace(/[^a-z0-9]/g, "");

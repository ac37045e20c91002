/** The file and shell tools of coding clients, as they name them, and tools that are none. */
import { describe, expect, test } from "bun:test";
import { isFileOrShellTool } from "../../src/intake/file-and-shell-tools.ts";

const tool = (name: string, fields: string) => {
  const properties = Object.fromEntries(fields.split(" ").map((field) => [field, { type: "string" }]));
  return { name, description: "", parameters: { type: "object", properties } };
};

const clients: Record<string, readonly [name: string, fields: string][]> = {
  opencode: [
    ["bash", "command description timeout"],
    ["edit", "filePath oldString newString replaceAll"],
    ["write", "filePath content"],
    ["read", "filePath offset limit"],
    ["grep", "pattern path include"],
    ["glob", "pattern path"],
    ["list", "path ignore"],
    ["patch", "patchText"],
  ],
  Continue: [
    ["Bash", "command"],
    ["Read", "filepath"],
    ["Write", "filepath content"],
    ["MultiEdit", "file_path edits"],
    ["List", "dirpath"],
    ["read_file", "filepath"],
    ["edit_existing_file", "filepath changes"],
    ["create_new_file", "filepath contents"],
    ["run_terminal_command", "command waitForCompletion"],
    ["grep_search", "query"],
    ["file_glob_search", "pattern"],
    ["single_find_and_replace", "filepath old_string new_string"],
  ],
  "Cline and Roo": [
    ["execute_command", "command requires_approval"],
    ["read_file", "path"],
    ["write_to_file", "path content"],
    ["replace_in_file", "path diff"],
    ["apply_diff", "path diff"],
    ["insert_content", "path line content"],
    ["search_and_replace", "path search replace"],
    ["search_files", "path regex file_pattern"],
    ["list_files", "path recursive"],
  ],
  aider: [["write_file", "path content"]],
  Codex: [
    ["shell", "command workdir timeout_ms"],
    ["shell_command", "command workdir"],
    ["exec_command", "cmd yield_time_ms"],
    ["container.exec", "cmd"],
    ["apply_patch", "input"],
    ["list_dir", "dir_path offset limit"],
    ["grep_files", "pattern include path"],
  ],
  others: [
    ["run_shell_command", "command description"],
    ["replace", "file_path old_string new_string"],
    ["read_many_files", "paths"],
    ["developer__shell", "command"],
    ["developer__text_editor", "command path file_text"],
    ["execute_bash", "command"],
    ["str_replace_editor", "command path"],
    ["run_terminal_cmd", "command is_background"],
    ["edit_file", "target_file instructions code_edit"],
    ["delete_file", "target_file"],
    ["readFile", "path"],
    ["runInTerminal", "command"],
    ["insert_edit_into_file", "filePath code"],
    ["replace_string_in_file", "filePath oldString newString"],
    ["terminal", "command cd"],
    ["mcp__filesystem__write_file", "path content"],
    ["filesystem_read_text_file", "path head"],
  ],
};
describe.each(Object.entries(clients))("of %s", (_client, tools) => {
  test.each(tools)("%s", (name, fields) => {
    expect(isFileOrShellTool(tool(name, fields))).toBe(true);
  });
});

test.each([
  ["get_weather", "city"],
  ["read", "message_id"],
  ["read_email", "id folder"],
  ["search", "query"],
  ["web_search", "query"],
  ["search_docs", "query path"],
  ["write_note", "title text"],
  ["create_page", "path title"],
  ["create_event", "title start"],
  ["edit_message", "id text"],
  ["update_contact", "name file"],
  ["execute_query", "sql"],
  ["run_report", "name"],
  ["run_workflow", "command"],
  ["send_command", "device command"],
  ["upload_file", "url"],
  ["list_files", "project_id"],
  ["todowrite", "todos"],
  ["webfetch", "url format"],
  ["task", "description prompt"],
  ["transfer_to_agent", "agent"],
])("%s with %s is none", (name, fields) => {
  expect(isFileOrShellTool(tool(name, fields))).toBe(false);
});

test("a tool without parameters is none", () => {
  expect(isFileOrShellTool({ name: "bash", description: "", parameters: null })).toBe(false);
});

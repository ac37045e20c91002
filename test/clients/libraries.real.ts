import { playTable } from "./suite.ts";
import { libraries } from "./table.ts";

playTable(libraries);

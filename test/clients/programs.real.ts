import { playTable } from "./suite.ts";
import { programs } from "./table.ts";

playTable(programs);

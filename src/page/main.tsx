/** The entry point of the page. */
import { render } from "preact";
import { enter, followLinks } from "./access.ts";
import { App, followTitle } from "./app.tsx";
import { followTime } from "./clock.ts";
import { followServer } from "./live.ts";
import { followAddress } from "./route.ts";

const root = document.getElementById("page");
if (root) {
  followAddress();
  followTime();
  followTitle();
  followServer();
  followLinks();
  render(<App />, root);
  void enter();
}

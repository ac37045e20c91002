/** The Homebrew formula of a release. */
import { description, license, version } from "../../package.json";
import type { Target } from "./targets.ts";

export interface Download {
  readonly target: Target;
  readonly url: string;
  readonly sha256: string;
}

const SYSTEMS = { darwin: "macos", linux: "linux" } as const;
const CPUS = { x64: "intel", arm64: "arm" } as const;

/** @param downloads the packages of the programs; Homebrew has no use for those with musl */
export function formula(downloads: readonly Download[], homepage: string): string {
  const blocks = downloads
    .filter(({ target }) => target.libc !== "musl")
    .map(
      ({ target, url, sha256 }) => `
  on_${SYSTEMS[target.os]} do
    on_${CPUS[target.cpu]} do
      url "${url}"
      sha256 "${sha256}"
    end
  end
`,
    );
  return `class Synthesis < Formula
  desc "${description}"
  homepage "${homepage}"
  version "${version}"
  license "${license}"
${blocks.join("")}
  def install
    bin.install "synthesis"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/synthesis --version")
  end
end
`;
}

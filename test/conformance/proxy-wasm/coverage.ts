/** Which functions of the ABI the suite of the Proxy-Wasm host calls: found by running it. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AbiSection } from "./abi-list.ts";

/** That a guest of a version called a hostcall, or had a callback called, in a test. */
export interface Use {
  readonly file: string;
  readonly test: string;
  /** Functions of WASI with their module before them. */
  readonly name: string;
  readonly version: string;
  /** What a hostcall answered; absent when it answers nothing, or stopped the guest. */
  readonly answer?: number;
}

export interface Recording {
  /** All that the host lets guests import. */
  readonly hostcalls: readonly string[];
  readonly uses: readonly Use[];
}

/** Environment variable: a file that keeps the recording, so that a run of all tests makes it once. */
export const recordingVariable = "OUTRIGGER_PROXY_WASM_RECORDING";

const longestMs = 180_000;

/** Runs the suite in a process of its own. Tests that fail are left to the run that reports them. */
export function recordSuite(): Recording {
  const kept = process.env[recordingVariable];
  if (kept === undefined) return record();
  if (!existsSync(kept)) writeFileSync(kept, JSON.stringify(record()));
  return JSON.parse(readFileSync(kept, "utf8"));
}

function record(): Recording {
  const folder = mkdtempSync(join(tmpdir(), "outrigger-proxy-wasm-"));
  const file = join(folder, "recording.json");
  try {
    const parameters = ["--test-force-exit", join(import.meta.dirname, "record.ts"), file];
    spawnSync(process.execPath, parameters, { stdio: "ignore", timeout: longestMs });
    return JSON.parse(readFileSync(file, "utf8"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A function whose test is missing, as a sentence: that nobody calls it, or that nobody saw one of its answers. */
export function gapsOf({ uses }: Recording, sections: readonly AbiSection[]): string[] {
  const seen = new Map<string, Set<number | undefined>>();
  for (const { name, version, answer } of uses) {
    const key = `${name} in ${version}`;
    seen.set(key, (seen.get(key) ?? new Set()).add(answer));
  }
  return sections
    .flatMap(({ functions }) => functions)
    .flatMap(({ name, versions, answers }) =>
      versions.flatMap((version) => {
        const found = seen.get(`${name} in ${version}`);
        if (found === undefined) return [`no test calls ${name} in ABI ${version}`];
        const missing = answers.filter((answer) => !found.has(answer));
        return missing.map((answer) => `no test sees ${name} answer ${answer} in ABI ${version}`);
      }),
    );
}

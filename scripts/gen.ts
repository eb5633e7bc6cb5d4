// Generates what is checked in from its sources: proto/gen from the .proto files.
import { execFileSync } from "node:child_process";

execFileSync("buf", ["generate"], { cwd: "proto", stdio: "inherit" });

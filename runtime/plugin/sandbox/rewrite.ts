import { BinaryReader } from "./binary-reader.ts";
import { BinaryWriter } from "./binary-writer.ts";
import { BodyPlan, point } from "./body-plan.ts";
import { CodeMapWriter } from "./code-map.ts";
import { emitBody } from "./emit-body.ts";
import { FuelFunctions } from "./fuel-functions.ts";
import { instructionCosts } from "./instruction-costs.ts";
import {
  customSectionName,
  type ModuleLayout,
  readLayout,
  type Section,
  sectionId,
  sectionOrder,
  sectionReader,
} from "./module-layout.ts";
import type { SandboxLimits } from "./sandboxed-module.ts";
import { scanBody } from "./scan-body.ts";

export interface RewrittenModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where its code lay in the original, for `originalOffsets`. */
  readonly codeMap: Uint8Array<ArrayBuffer>;
}

/** Longer functions take an optimising compiler gigabytes. */
const longestBody = 1024 ** 2;

/** The bound on live values at branches for all functions together. */
const mostLiveAtBranches = 50_000_000;

/** Functions with longer bodies are not looked at as leaves that might be charged to their callers. */
const longestLeafBody = 48;

/**
 * Gives a module that cannot run longer than its fuel nor grow beyond its limits, and does what the given one does
 * otherwise. Its custom sections are dropped, except for names, because they tell of places in the code that move.
 * Throws SandboxError when the module is malformed or uses what the sandbox refuses. It does not validate: the engine does.
 */
export function rewrite(bytes: Uint8Array, limits: SandboxLimits): RewrittenModule {
  const layout = readLayout(bytes, limits);
  const fuel = new FuelFunctions(layout, limits);
  const map = new CodeMapWriter();
  let codeEnd = 0;
  const out = new BinaryWriter(Math.ceil(bytes.length * 1.5) + 4_096);
  out.range(bytes, 0, 8);
  const missing = sectionOrder.filter(
    (id) => fuel.added(id) > 0 && !layout.sections.some((present) => present.id === id),
  );
  for (const section of layout.sections) {
    if (section.id === sectionId.custom) {
      if (customSectionName(bytes, section) === "name") writeSection(section.id, out, () => copy(bytes, section, out));
      continue;
    }
    const rank = sectionOrder.indexOf(section.id);
    while (missing[0] !== undefined && sectionOrder.indexOf(missing[0]) < rank)
      writeMissing(missing, layout, fuel, out);
    writeSection(section.id, out, () => writeContents(section, layout, fuel, out, map));
    if (section.id === sectionId.code) codeEnd = out.length;
  }
  while (missing.length > 0) writeMissing(missing, layout, fuel, out);
  return { bytes: out.finish(), codeMap: map.finish(codeEnd) };
}

function writeSection(id: number, out: BinaryWriter, contents: () => void): void {
  out.u8(id);
  out.sized(contents);
}

function copy(bytes: Uint8Array, { start, end }: Section, out: BinaryWriter): void {
  out.range(bytes, start, end);
}

/** Writes the first of the sections that the module lacks and metering needs. */
function writeMissing(missing: number[], layout: ModuleLayout, fuel: FuelFunctions, out: BinaryWriter): void {
  const id = missing.shift();
  if (id === undefined) return;
  if (id === sectionId.code) checkBodyCount(0, layout, new BinaryReader(layout.bytes, "module"));
  writeSection(id, out, () => {
    out.u32(fuel.added(id));
    fuel.write(id, out);
  });
}

function writeContents(
  section: Section,
  layout: ModuleLayout,
  fuel: FuelFunctions,
  out: BinaryWriter,
  map: CodeMapWriter,
): void {
  switch (section.id) {
    case sectionId.memory:
      writeMemory(layout, out);
      return;
    case sectionId.table:
      writeTables(layout, out);
      return;
    case sectionId.code:
      writeCode(section, layout, fuel, out, map);
      return;
  }
  const added = fuel.added(section.id);
  if (added === 0) {
    copy(layout.bytes, section, out);
    return;
  }
  const reader = sectionReader(layout.bytes, section);
  out.u32(reader.u32() + added);
  out.range(layout.bytes, reader.position, section.end);
  fuel.write(section.id, out);
}

function writeMemory({ memory }: ModuleLayout, out: BinaryWriter): void {
  const isDefined = memory !== undefined && !memory.isImported;
  out.u32(isDefined ? 1 : 0);
  if (!isDefined) return;
  out.u8(1);
  out.u32(memory.minimum);
  out.u32(memory.maximum);
}

function writeTables({ tables }: ModuleLayout, out: BinaryWriter): void {
  out.u32(tables.length);
  for (const { type, minimum, maximum } of tables) {
    out.u8(type);
    out.u8(1);
    out.u32(minimum);
    out.u32(maximum);
  }
}

function writeCode(
  section: Section,
  layout: ModuleLayout,
  fuel: FuelFunctions,
  out: BinaryWriter,
  map: CodeMapWriter,
): void {
  const bodies = readBodies(section, layout);
  out.u32(bodies.length + fuel.added(section.id));
  map.begin(layout.importedFunctions, out.length);
  const plan = new BodyPlan();
  const leafCosts = costsOfLeaves(bodies, layout, plan);
  let liveAtBranches = 0;
  bodies.forEach((body, index) => {
    const functionIndex = layout.importedFunctions + index;
    const start = body.position;
    if ((leafCosts[functionIndex] ?? 0) > 0) map.body(start, start, out, () => writeLeaf(body, out, map));
    else {
      scanBody(body, layout, functionIndex, leafCosts, plan);
      map.body(start, plan.codeStart, out, () => emitBody(layout.bytes, plan, fuel, out, map));
      liveAtBranches += plan.liveAtBranches;
    }
  });
  if (liveAtBranches > mostLiveAtBranches)
    sectionReader(layout.bytes, section).fail(
      "the functions have too many locals and values for so many branches: engines would take seconds to compile them",
    );
  fuel.write(section.id, out);
  map.end(out.length);
}

function writeLeaf({ bytes, position, end }: BinaryReader, out: BinaryWriter, map: CodeMapWriter): void {
  out.sized(() => {
    map.opened(out.length);
    map.copied(end - position, out.length);
    out.range(bytes, position, end);
  });
}

function readBodies(section: Section, layout: ModuleLayout): BinaryReader[] {
  const reader = sectionReader(layout.bytes, section);
  const count = reader.u32();
  checkBodyCount(count, layout, reader);
  const bodies: BinaryReader[] = [];
  for (let index = 0; index < count; index++) {
    const size = reader.u32();
    const start = reader.position;
    reader.passOver(size);
    if (size > longestBody)
      reader.fail(
        `function ${layout.importedFunctions + index} has ${size} bytes, and the limit is ${longestBody}`,
        start,
      );
    bodies.push(new BinaryReader(layout.bytes, `function ${layout.importedFunctions + index}`, start, reader.position));
  }
  if (!reader.done) reader.fail("the section is longer than its contents");
  return bodies;
}

function checkBodyCount(count: number, layout: ModuleLayout, reader: BinaryReader): void {
  const declared = layout.functionTypes.length - layout.importedFunctions;
  if (count !== declared) reader.fail(`the module declares ${declared} functions and defines ${count}`);
}

/** The cost of each function that is short, calls nothing and has one way through; 0 for all others. */
function costsOfLeaves(bodies: readonly BinaryReader[], layout: ModuleLayout, plan: BodyPlan): Uint8Array {
  const costs = new Uint8Array(layout.functionTypes.length);
  const none = new Uint8Array(0);
  bodies.forEach((body, index) => {
    if (body.end - body.position > longestLeafBody) return;
    const functionIndex = layout.importedFunctions + index;
    scanBody(new BinaryReader(layout.bytes, body.place, body.position, body.end), layout, functionIndex, none, plan);
    const cost = straightCost(plan);
    if (cost <= instructionCosts.indirectCall) costs[functionIndex] = cost;
  });
  return costs;
}

/** What a function costs that is charged at its entry and nowhere else, and never leaves for another; else infinity. */
function straightCost(plan: BodyPlan): number {
  for (let index = 1; index < plan.points; index++) {
    const kind = plan.kindOf(index);
    if (kind !== point.leave && kind !== point.open && kind !== point.end) return Number.POSITIVE_INFINITY;
  }
  return plan.exceptions ? Number.POSITIVE_INFINITY : plan.costOf(plan.detailOf(0));
}

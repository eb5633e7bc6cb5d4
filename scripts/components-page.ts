import type { BindingCapability } from "../components/binding/binding.ts";
import { catalog } from "../components/catalog.ts";
import type { ConfigCapability } from "../components/config/config-store.ts";
import type { LockCapability } from "../components/lock/lock-store.ts";
import type { ObjectCapability } from "../components/object/object-store.ts";
import type { PubSubCapability } from "../components/pubsub/pubsub.ts";
import type { SequencerCapability } from "../components/sequencer/sequencer.ts";
import type { StateCapability } from "../components/state/state-store.ts";
import type { Outcome } from "../test/conformance/checks.ts";
import { columnOf, type MatrixTable, recordedLines, tablesOf } from "../test/conformance/tables.ts";
import { settingsRows, tableOf } from "./reference-pages.ts";

interface KindPage<Capability extends string = string> {
  readonly title: string;
  readonly intro: string;
  /** What each capability means, in the order of the columns. */
  readonly capabilities: Readonly<Record<Capability, string>>;
}

const durable = "what it has outlasts the sidecar";
const shared = "all sidecars with the same settings have the same";

const kinds: {
  readonly state: KindPage<StateCapability>;
  readonly pubsub: KindPage<PubSubCapability>;
  readonly config: KindPage<ConfigCapability>;
  readonly lock: KindPage<LockCapability>;
  readonly sequencer: KindPage<SequencerCapability>;
  readonly secret: KindPage<never>;
  readonly binding: KindPage<BindingCapability>;
  readonly object: KindPage<ObjectCapability>;
} = {
  state: {
    title: "State stores",
    intro: "Values by key, with etags. Beside its settings a state store takes a `keyPrefix`.",
    capabilities: {
      transactions: "several writes take effect together or not at all",
      keys: "its keys can be listed, a page at a time",
      ttl: "an entry may have a limit of life (`ttlInSeconds`)",
      durable,
      shared,
    },
  },
  pubsub: {
    title: "Publish and subscribe",
    intro: "Topics with at-least-once delivery to groups of subscribers.",
    capabilities: {
      ordered: "first deliveries to the only subscriber of a group come in publish order",
      redelivery: "what a subscriber rejects comes again",
      durable:
        "what was published once a group had subscribed reaches it, though it, the sidecar or the broker was away",
      shared: "publishers and subscribers may be at different sidecars",
    },
  },
  config: {
    title: "Configuration stores",
    intro: "Items that applications read, and follow as they change.",
    capabilities: { durable, shared: "all sidecars with the same settings are told of each other's changes" },
  },
  lock: {
    title: "Lock stores",
    intro: "Locks with a lease. Beside its settings a lock store takes a `keyPrefix`.",
    capabilities: { durable: "leases outlast the sidecar", shared: "a lock holds for all sidecars" },
  },
  sequencer: {
    title: "Sequencers",
    intro: "Growing ids, none given twice. Beside its settings a sequencer takes a `keyPrefix`.",
    capabilities: {
      consecutive: "ids begin with 1 and leave none out",
      durable: "a sequence goes on behind its last id",
      shared: "all sidecars count together",
    },
  },
  secret: {
    title: "Secret stores",
    intro:
      "Secrets that applications read, and that settings of other components refer to. Beside its settings a secret store takes `allow`, what applications may read of it: names of secrets, or the beginning of names followed by `*`; default none.",
    capabilities: {},
  },
  binding: {
    title: "Bindings",
    intro:
      "Ways out to other systems, and ways in from them. A binding that brings events in may have a `route` beside its settings, the path of the application where they are posted when it does not take them over gRPC; default `/` and its name.",
    capabilities: {
      output: "it has operations to invoke",
      input: "it brings events in to the application",
      redelivery: "an event that is rejected comes again",
    },
  },
  object: {
    title: "File stores",
    intro: "Files by name, streamed.",
    capabilities: {
      metadata: "what is given when a file is put is given back",
      ordered:
        "lists are in the order of the names' bytes whatever their characters; others may put U+E000 to U+FFFF behind those beyond",
    },
  },
};

/** Settings in common that make a table of their own. */
const fewest = 3;

const definitions = await Promise.all(
  Object.entries(catalog).flatMap(([kind, types]) =>
    Object.entries(types).map(async ([type, load]) => {
      const { capabilities, config } = await load();
      return { kind, type, capabilities: new Set<string>(capabilities), rows: settingsRows(config) };
    }),
  ),
);

type Defined = (typeof definitions)[number];

/** The settings that all components of a type have in common, where that is worth a table. */
const common = new Map(
  [...new Set(definitions.map(({ type }) => type))].flatMap((type) => {
    const [first, ...others] = definitions.filter((one) => one.type === type);
    const rows = first?.rows.filter((row) => others.every((other) => other.rows.includes(row))) ?? [];
    return others.length > 0 && rows.length >= fewest ? [[type, rows] as const] : [];
  }),
);

/** The reference page of the components: what each backend claims, which checks hold it to that, and its settings. */
export function componentsReference(): string {
  const tables = new Map(tablesOf(recordedLines()).map((table) => [table.kind, table]));
  const sections = Object.entries(kinds).flatMap(([kind, page]) => [
    `## ${page.title}`,
    `\`components.${kind}\`. ${page.intro}`,
    capabilityTable(kind, page),
    ...meanings(page),
    ...definitions.filter((one) => one.kind === kind).map(settingsOf),
    ...checksTable(tables.get(kind), page),
  ]);
  return [
    "# Components",
    "Generated from the components' own schemas and their conformance suites by `npm run gen`.",
    "Every component has a `type` beside the settings below. An application asks for what a backend does not claim and gets `UNIMPLEMENTED`, with a sentence that names the backend. How to change from one backend to another: [backends.md](../guides/backends.md).",
    "The tables of checks list what `npm test` holds each backend to, against a real server: **yes**; – where it does not claim what the check is about; *no server* where there is none that could be away.",
    ...sections,
    "## Settings of a server",
    "What the components on one server have in common.",
    ...[...common].map(([type, rows]) => `${commonTitle(type)}\n\n${tableOf(rows)}`),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
}

function capabilityTable(kind: string, { capabilities }: KindPage): string {
  const names = Object.keys(capabilities);
  const backends = definitions.filter((one) => one.kind === kind);
  if (names.length === 0) return `Backends: ${backends.map(({ type }) => `\`${type}\``).join(", ")}.`;
  return markdownTable(
    ["backend", ...names],
    backends.map((one) => [`\`${one.type}\``, ...names.map((name) => (one.capabilities.has(name) ? "yes" : "–"))]),
  );
}

const meanings = ({ capabilities }: KindPage): string[] => {
  const list = Object.entries(capabilities).map(([name, meaning]) => `- *${name}*: ${meaning}.`);
  return list.length === 0 ? [] : [list.join("\n")];
};

const commonTitle = (type: string): string => `### Every component on \`${type}\``;

function settingsOf({ kind, type, rows }: Defined): string {
  const ofServer = common.get(type);
  const own = rows.filter((row) => !ofServer?.includes(row));
  const anchor = commonTitle(type).replaceAll(/[#`]/g, "").trim().toLowerCase().replaceAll(" ", "-");
  const parts = [
    ...(ofServer === undefined
      ? []
      : [`The settings of [every component on ${type}](#${anchor})${own.length > 0 ? ", and:" : "."}`]),
    ...(own.length > 0 ? [tableOf(own)] : []),
  ];
  return [`### ${kind}: \`${type}\``, ...(parts.length > 0 ? parts : ["No settings."])].join("\n\n");
}

/** What the cells of the page say; the recording knows neither failures nor skips. */
const words: Partial<Record<Outcome, string>> = { ok: "yes", "-": "–", "no server": "*no server*" };

function checksTable(table: MatrixTable | undefined, { title }: KindPage): string[] {
  if (table === undefined) return [];
  const { lines, rows } = table;
  const cells = rows.map(({ check, outcomes }) => [
    check,
    ...outcomes.map((outcome) => (outcome === undefined ? "" : (words[outcome] ?? outcome))),
  ]);
  return [`### ${title}: checks`, markdownTable(["", ...lines.map(columnOf)], cells)];
}

function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lineOf = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [lineOf(heads), `|${heads.map(() => "---|").join("")}`, ...rows.map(lineOf)].join("\n");
}

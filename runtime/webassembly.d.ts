/** The WebAssembly JavaScript API as V8 has it, JavaScript Promise Integration included; TypeScript keeps it in its browser library. */
declare namespace WebAssembly {
  type ImportExportKind = "function" | "global" | "memory" | "table" | "tag";
  type ExportValue = ((...parameters: never[]) => unknown) | Global | Memory | Table | Tag;
  type Imports = Record<string, Record<string, unknown>>;

  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static exports(module: Module): { name: string; kind: ImportExportKind }[];
    static imports(module: Module): { module: string; name: string; kind: ImportExportKind }[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Readonly<Record<string, ExportValue>>;
  }
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number });
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Table {
    readonly length: number;
    get(index: number): unknown;
  }
  class Global {
    constructor(descriptor: { value: string; mutable?: boolean }, value?: unknown);
    value: unknown;
  }
  class Tag {
    constructor(type: { parameters: string[] });
  }
  class Exception extends Error {}
  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}
  /** An import that may return a promise: the guest is suspended until it settles. */
  class Suspending {
    constructor(hostFunction: (...parameters: never[]) => unknown);
  }
  /** Wraps an export so that a call returns a promise and may suspend. */
  function promising<Parameters extends unknown[]>(
    exported: (...parameters: Parameters) => unknown,
  ): (...parameters: Parameters) => Promise<unknown>;
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
}

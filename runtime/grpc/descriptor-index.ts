import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../proto/gen/descriptors.ts";

/** The files of proto/, by name and by every symbol they define. */
export class DescriptorIndex {
  readonly #files = new Map<string, FileDescriptorProto>();
  readonly #symbols = new Map<string, string>();

  constructor() {
    for (const file of fromBinary(FileDescriptorSetSchema, Buffer.from(descriptors, "base64")).file) {
      this.#files.set(file.name, file);
      for (const symbol of symbolsOf(file)) this.#symbols.set(symbol, file.name);
    }
  }

  /** The file and all that it imports, encoded, the file first. */
  byName(name: string): Uint8Array[] | undefined {
    if (!this.#files.has(name)) return undefined;
    const names = new Set([name]);
    for (const one of names) for (const imported of this.#files.get(one)?.dependency ?? []) names.add(imported);
    return [...names].flatMap((one) => {
      const file = this.#files.get(one);
      return file === undefined ? [] : [toBinary(FileDescriptorProtoSchema, file)];
    });
  }

  bySymbol(symbol: string): Uint8Array[] | undefined {
    const file = this.#symbols.get(symbol);
    return file === undefined ? undefined : this.byName(file);
  }
}

function* symbolsOf({ package: scope, messageType, enumType, service }: FileDescriptorProto): Generator<string> {
  for (const { name } of enumType) yield `${scope}.${name}`;
  for (const { name, method } of service) {
    yield `${scope}.${name}`;
    for (const one of method) yield `${scope}.${name}.${one.name}`;
  }
  const messages = messageType.map((message) => ({ message, name: `${scope}.${message.name}` }));
  for (const { message, name } of messages) {
    yield name;
    for (const field of message.field) yield `${name}.${field.name}`;
    for (const nested of message.enumType) yield `${name}.${nested.name}`;
    messages.push(...message.nestedType.map((nested) => ({ message: nested, name: `${name}.${nested.name}` })));
  }
}

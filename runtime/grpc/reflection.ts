import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptors } from "../../proto/gen/descriptors.ts";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../proto/gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as AlphaService } from "../../proto/gen/grpc/reflection/v1alpha/reflection.ts";
import { type BidiStream, defineService, type GrpcService } from "./service.ts";
import { statusCodeOf } from "./status.ts";

/** Server reflection, v1 and v1alpha (the same messages under two names), for the services by full name. */
export function reflectionServices(names: readonly string[]): GrpcService[] {
  const all = [...names, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"].sort();
  let index: DescriptorIndex | undefined;
  const serverReflectionInfo = async ({
    requests,
    write,
  }: BidiStream<ServerReflectionRequest, ServerReflectionResponse>) => {
    for await (const request of requests) {
      index ??= new DescriptorIndex();
      await write({ validHost: request.host, originalRequest: request, messageResponse: answer(request, all, index) });
    }
  };
  return [
    defineService(ServerReflectionService, { serverReflectionInfo }),
    defineService(AlphaService, { serverReflectionInfo }),
  ];
}

type Answer = ServerReflectionResponse["messageResponse"];

function answer(
  { messageRequest }: ServerReflectionRequest,
  services: readonly string[],
  index: DescriptorIndex,
): Answer {
  switch (messageRequest?.$case) {
    case "listServices":
      return { $case: "listServicesResponse", value: { service: services.map((name) => ({ name })) } };
    case "fileByFilename":
      return filesOr(index.byName(messageRequest.value), `there is no file '${messageRequest.value}'`);
    case "fileContainingSymbol":
      return filesOr(index.bySymbol(messageRequest.value), `no file defines '${messageRequest.value}'`);
    case "fileContainingExtension":
      return notFound(`'${messageRequest.value.containingType}' has no extensions`);
    case "allExtensionNumbersOfType":
      return {
        $case: "allExtensionNumbersResponse",
        value: { baseTypeName: messageRequest.value, extensionNumber: [] },
      };
    default:
      return {
        $case: "errorResponse",
        value: { errorCode: statusCodeOf("INVALID_ARGUMENT"), errorMessage: "the request asks for nothing" },
      };
  }
}

const filesOr = (files: Uint8Array[] | undefined, message: string): Answer =>
  files === undefined ? notFound(message) : { $case: "fileDescriptorResponse", value: { fileDescriptorProto: files } };

const notFound = (errorMessage: string): Answer => ({
  $case: "errorResponse",
  value: { errorCode: statusCodeOf("NOT_FOUND"), errorMessage },
});

/** The files of proto/, by name and by every symbol they define; read when the first client asks. */
class DescriptorIndex {
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

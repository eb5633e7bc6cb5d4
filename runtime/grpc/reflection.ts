import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from "../../proto/gen/grpc/reflection/v1/reflection.ts";
import { ServerReflectionService as AlphaService } from "../../proto/gen/grpc/reflection/v1alpha/reflection.ts";
import type { DescriptorIndex } from "./descriptor-index.ts";
import { type BidiStream, defineService, type GrpcService } from "./service.ts";
import { statusCodeOf } from "./status.ts";

/**
 * Server reflection, v1 and v1alpha (the same messages under two names), for the services by full name. The descriptors
 * load when the first client asks.
 */
export function reflectionServices(names: readonly string[]): GrpcService[] {
  const all = [...names, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"].sort();
  let loading: Promise<DescriptorIndex> | undefined;
  const serverReflectionInfo = async ({
    requests,
    write,
  }: BidiStream<ServerReflectionRequest, ServerReflectionResponse>) => {
    for await (const request of requests) {
      loading ??= import("./descriptor-index.ts").then(({ DescriptorIndex }) => new DescriptorIndex());
      const index = await loading;
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

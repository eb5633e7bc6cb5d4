import { SayHelloRequest, SayHelloResponse } from "../gen/spec/proto/runtime/v1/runtime";
import { failure, Result, success } from "../status";
import { callRuntime } from "./call";

/** Asks the runtime for a greeting: the least that shows that it is there. */
export function hello(name: string): Result<string> {
  const request = new SayHelloRequest();
  request.name = name;
  const answer = callRuntime<SayHelloResponse>("SayHello", request);
  return answer.ok ? success(answer.value.hello) : failure<string>(answer.code, answer.message);
}

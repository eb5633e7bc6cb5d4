import { delimiter } from "node:path";
import { kafkaJars } from "./kafka-jars.ts";
import { mavenJars } from "./maven-jars.ts";

export type KafkaVersion = keyof typeof kafkaJars;

/** The class path of the broker, fetched by Maven once for all tests; rejects with ProgramMissing. */
export const kafkaClassPath = async (version: KafkaVersion): Promise<string> =>
  (await mavenJars(`kafka-${version}`, kafkaJars[version])).join(delimiter);

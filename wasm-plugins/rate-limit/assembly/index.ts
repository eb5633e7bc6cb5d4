import { register } from "@outrigger/plugin";
import { Limits, RateLimit } from "./rate-limit";

register<RateLimit, Limits>();

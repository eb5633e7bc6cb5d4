import { register } from "@outrigger/plugin";
import { RateLimit } from "./rate-limit";

register<RateLimit>();

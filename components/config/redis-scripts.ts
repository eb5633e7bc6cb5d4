/**
 * How configuration lies in Redis: the items of an application with one group and label are a hash of JSON by key, and every change
 * leaves the names of what changed in the application's stream. All keys of an application have one hash tag.
 */
import { redisScript } from "../clients/redis-script.ts";
import type { ConfigSelection } from "./config-store.ts";

/** About so many changes stay in the stream; who was away for longer compares everything. */
const keptChanges = 1_000;

const tell = `
  local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
  local last = '0-0'
  if not info.err then
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then last = info[i + 1] end
    end
  end
  -- Each change names the one before it, by which readers see that they have missed one.
  local function tell(group, label, key)
    last = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${keptChanges}, '*', 'after', last, 'group', group, 'label', label, 'key', key)
  end
`;

/** KEYS: the stream, then the hash of each item. ARGV: group, label, key and JSON of each item. */
export const saveItems = redisScript(`
  ${tell}
  for i = 2, #KEYS do
    local at = 4 * (i - 2)
    redis.call('HSET', KEYS[i], ARGV[at + 3], ARGV[at + 4])
    tell(ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  end
  return {}
`);

/** KEYS: the stream and the hash. ARGV: group, label, then the keys; none for all that the hash has. */
export const deleteItems = redisScript(`
  ${tell}
  local keys = {}
  for i = 3, #ARGV do keys[i - 2] = ARGV[i] end
  if #ARGV == 2 then keys = redis.call('HKEYS', KEYS[2]) end
  for _, key in ipairs(keys) do
    if redis.call('HDEL', KEYS[2], key) == 1 then tell(ARGV[1], ARGV[2], key) end
  end
  return {}
`);

/** All keys and values of the hash, in turn: the client would make an object of HGETALL, in which some keys have no place. */
export const readAll = redisScript("return redis.call('HGETALL', KEYS[1])");

/** The last change in the stream. */
export const lastChange = redisScript(`
  local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
  if info.err then return { '0-0' } end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return { info[i + 1] } end
  end
  return { '0-0' }
`);

/** Names may hold anything, so they are escaped between the colons and in the tag. */
const escaped = (name: string): string => encodeURIComponent(name.toWellFormed());

export const streamKey = (prefix: string, appId: string): string => `${prefix}{${escaped(appId)}}`;

export const hashKey = (prefix: string, { appId, group, label }: Omit<ConfigSelection, "keys">): string =>
  `${streamKey(prefix, appId)}:${escaped(group)}:${escaped(label)}`;

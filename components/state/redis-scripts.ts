/**
 * How state lies in Redis, which is how Dapr and Layotto keep it: a hash with the fields `data` and `version`, under the
 * key that the API made. A plain string is state too, and so is a hash without a version: its etag is the SHA-1 of its value.
 */
import { redisScript } from "../clients/redis-script.ts";

/**
 * For each key: nothing when it is absent, a list of value, etag and milliseconds to live (-1 for ever), or the text of an
 * error. One script for many keys, since for the client a command costs more than a key.
 */
export const readStates = redisScript(`
  local found = {}
  for i, key in ipairs(KEYS) do
    local fields = redis.pcall('HMGET', key, 'data', 'version')
    local data, version = fields[1], fields[2]
    if fields.err then
      data = redis.pcall('GET', key)
    end
    if type(data) == 'table' then
      found[i] = data.err
    elseif data or version then
      data = data or ''
      found[i] = { data, version or redis.sha1hex(data), redis.call('PTTL', key) }
    else
      found[i] = false
    end
  end
  return found
`);

/** For each key 1 when state lies there, else 0. */
export const areStates = redisScript(`
  local found = {}
  for i, key in ipairs(KEYS) do
    local kind = redis.call('TYPE', key).ok
    local is_state = kind == 'string'
    if kind == 'hash' then
      is_state = redis.call('HEXISTS', key, 'data') == 1 or redis.call('HEXISTS', key, 'version') == 1
    end
    found[i] = is_state and 1 or 0
  end
  return found
`);

/**
 * KEYS has the key of each operation. ARGV begins with 'each', by which every operation stands for itself, or 'all', by which
 * none is applied when one is refused. Four arguments an operation follow: 'set', 'first' (a set of an absent key only) or
 * 'delete'; the etag, empty for any; the life in milliseconds, empty for ever; the value. The reply has for each operation
 * an empty text, 'etag' when it was refused, or the text of an error.
 *
 * A version is the server's time in microseconds when the key is new, and then at least one more each time: no etag
 * comes twice, not after a delete either, and Dapr and Layotto, which add one, can write to the same key.
 */
export const writeStates = redisScript(`
  local largest = 9000000000000000
  local time = redis.call('TIME')
  local clock = time[1] * 1000000 + time[2]

  -- The etag, false for a key that is absent, true for one that holds something else than state.
  local function etag_of(key)
    local version = redis.pcall('HGET', key, 'version')
    if type(version) == 'string' then return version end
    local data
    if version then
      data = redis.pcall('GET', key)
    else
      data = redis.call('HGET', key, 'data')
    end
    if type(data) == 'table' then return true end
    return data and redis.sha1hex(data)
  end

  local function version_after(last)
    last = type(last) == 'string' and string.match(last, '^%d+$') and tonumber(last) or 0
    if last >= largest then last = 0 end
    return math.max(clock, last + 1)
  end

  local function fail(reply)
    return type(reply) == 'table' and reply.err
  end

  local function put(key, value, version, life)
    local fields = { 'data', value, 'version', string.format('%.0f', version) }
    local failed = fail(redis.pcall('HSET', key, unpack(fields)))
    if failed and string.sub(failed, 1, 9) == 'WRONGTYPE' then
      redis.call('DEL', key)
      failed = fail(redis.pcall('HSET', key, unpack(fields)))
    end
    if failed then return failed end
    if life == '' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIRE', key, life)
    end
    return ''
  end

  local results, versions, current, last = {}, {}, {}, {}
  local refused = false
  for i, key in ipairs(KEYS) do
    local kind, etag = ARGV[4 * i - 2], ARGV[4 * i - 1]
    if current[key] == nil then
      current[key] = etag_of(key)
      last[key] = current[key]
    end
    local clashes = kind == 'first' and current[key] ~= false
    if etag ~= '' then clashes = current[key] ~= etag end
    if clashes then
      results[i] = 'etag'
      refused = true
    elseif kind == 'delete' then
      versions[i] = false
      current[key] = false
    else
      versions[i] = version_after(last[key])
      current[key] = string.format('%.0f', versions[i])
      last[key] = current[key]
    end
  end

  local applies = ARGV[1] == 'each' or not refused
  for i, key in ipairs(KEYS) do
    if results[i] == nil then
      results[i] = ''
      if applies and versions[i] then
        results[i] = put(key, ARGV[4 * i + 1], versions[i], ARGV[4 * i])
      elseif applies then
        results[i] = fail(redis.pcall('DEL', key)) or ''
      end
    end
  end
  return results
`);

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local want = tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local replicas = redis.call('ZCARD', KEYS[1])
local silence = redis.call('PTTL', KEYS[2])
if silence > 0 then
  return {0, silence, replicas}
end
local wait = 0
for index = 3, #KEYS do
  local at = 4 + (index - 3) * 3
  local calls, counts_for, grain = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local used, first = 0, now + counts_for
  local rows = redis.call('HGETALL', KEYS[index])
  for row = 1, #rows, 2 do
    local ends = (tonumber(rows[row]) + 1) * grain + counts_for
    if grain > 0 and ends <= now then
      redis.call('HDEL', KEYS[index], rows[row])
    else
      used = used + tonumber(rows[row + 1])
      if grain > 0 and ends < first then
        first = ends
      end
    end
  end
  want = math.min(want, math.max(calls - used, 0))
  if used >= calls then
    wait = math.max(wait, first - now)
  end
end
if want > 0 then
  for index = 3, #KEYS do
    local at = 4 + (index - 3) * 3
    local counts_for, grain = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local number = 0
    if grain > 0 then
      number = math.floor(now / grain)
    end
    redis.call('HINCRBY', KEYS[index], string.format('%.0f', number), want)
    redis.call('PEXPIRE', KEYS[index], counts_for + 2 * grain + 1000)
  end
end
return {want, wait, replicas}

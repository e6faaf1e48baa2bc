-- Of each key: microseconds that one unit takes, microseconds that may be taken at once, units wanted.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer, later = {1}, {}
for index, key in ipairs(KEYS) do
  local at = (index - 1) * 3
  local unit, room, wanted = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local busy = math.max(tonumber(redis.call('GET', key) or '0'), now)
  local after = busy + unit * wanted
  local wait = math.max(after - room - now, 0)
  if wait > 0 then
    answer[1] = 0
  end
  later[index] = after
  answer[index * 2] = string.format('%.0f', math.ceil(wait))
  answer[index * 2 + 1] = string.format('%.0f', busy - now)
end
if answer[1] == 1 then
  for index, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.3f', later[index]), 'PX', math.ceil((later[index] - now) / 1000) + 1)
    answer[index * 2 + 1] = string.format('%.0f', later[index] - now)
  end
end
return answer

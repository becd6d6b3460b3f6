#!lua
-- Removes answers, unless they were given again meanwhile; answers with how many.
--
-- KEYS  1 the moments, then of each answer the hash that holds it
-- ARGV  1 before which moment, then of each answer its member in the moments and its key in the hash
local before, gone = tonumber(ARGV[1]), 0
for place = 2, #KEYS do
  local member, key = ARGV[2 * place - 2], ARGV[2 * place - 1]
  local moment = redis.call('ZSCORE', KEYS[1], member)
  if moment and tonumber(moment) < before then
    redis.call('ZREM', KEYS[1], member)
    redis.call('HDEL', KEYS[place], key)
    gone = gone + 1
  end
end
return gone

#!lua
-- Gives a higher number than all before, or makes the one who has it a member.
--
-- KEYS  1 state, 2 beats, 3 cards
-- Four for each second since 2026, or one more than the last: a server that has lost the last numbers does not give them again.
-- One that has lost all of them begins a little higher, by lot.
-- ARGV  1 'number', 2 the lot; or 1 '', 2 the number, 3 the card
if ARGV[1] ~= '' then
  local last = redis.call('HGET', KEYS[1], 'nodes')
  local least = (tonumber(redis.call('TIME')[1]) - 1767225600) * 4
  local number = last and math.max(tonumber(last) + 1, least) or least + tonumber(ARGV[2])
  redis.call('HSET', KEYS[1], 'nodes', string.format('%d', number))
  return number
end
redis.call('HSET', KEYS[2], ARGV[2], 0)
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
return 1

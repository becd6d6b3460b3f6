#!lua
-- Makes a box, or lets one last; answers 0 when there is none.
--
-- KEYS  1 box, 2 what went through it
-- ARGV  1 how long it lasts (ms), 2 '1' to make it
if ARGV[2] == '1' then
  -- A stream stays when its last entry goes.
  redis.call('XADD', KEYS[1], '0-1', 'p', '')
  redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
  redis.call('HSET', KEYS[2], 'bytes', 0, 'parcels', 0, 'bytes_read', 0, 'parcels_read', 0)
elseif redis.call('EXISTS', KEYS[1], KEYS[2]) < 2 then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1

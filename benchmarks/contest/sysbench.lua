-- Copyright: (c) 2026, the failover lab's authors
-- GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

-- One turn of the benchmark: each thread is a client and sends its statements one by one, as text.
-- The file that BENCHMARK_STATEMENTS names has a line for each, CLIENT<tab>STATEMENT, clients numbered from 0.
-- Prints a line a thread: when it began and ended, and CPU time of the process at these two moments, in s.

local ffi = require("ffi")
ffi.cdef("struct moment { long s; long ns; }; int clock_gettime(int clock, struct moment *now);")
local MONOTONIC, PROCESS_CPU = 1, 2

local function seconds(clock)
   local now = ffi.new("struct moment")
   ffi.C.clock_gettime(clock, now)
   return tonumber(now.s) + tonumber(now.ns) / 1e9
end

local connection
local statements = {}

function thread_init()
   connection = sysbench.sql.driver():connect()
   for line in io.lines(os.getenv("BENCHMARK_STATEMENTS")) do
      local client, statement = line:match("^(%d+)\t(.*)$")
      if tonumber(client) == sysbench.tid then
         statements[#statements + 1] = statement
      end
   end
end

function event()
   for _, statement in ipairs(statements) do
      connection:query(statement)
   end
end

-- Takes the place of sysbench's own loop, which gives any event to any thread.
function thread_run()
   local began_s, cpu_began_s = seconds(MONOTONIC), seconds(PROCESS_CPU)
   event()
   io.write(string.format("turn %.6f %.6f %.6f %.6f\n", began_s, seconds(MONOTONIC), cpu_began_s, seconds(PROCESS_CPU)))
end

function thread_done()
   connection:disconnect()
end

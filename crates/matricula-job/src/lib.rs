//! A Matrix request as a value, its response, the step shape, and the scheduler that decides which job runs next.

variable "name" {
  description = "Prefix of the names of all resources, as in PREFIX-PostgreSQLSingleUser."
  type        = string
  default     = "secrets-rotation"

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,40}$", var.name))
    error_message = "name has 1 to 40 letters, digits, hyphens and underscores."
  }
}

variable "functions" {
  description = <<-EOT
    The functions to deploy. The key is PostgreSQLSingleUser, PostgreSQLMasterUser,
    MySQLSingleUser and so on, or CustomRotation. Each function needs a package that
    `make package` created: the path of a zip file, or an object in S3. A function_name replaces
    the name PREFIX-KEY. environment has further settings (docs/configuration.md).
  EOT
  type = map(object({
    filename          = optional(string)
    s3_bucket         = optional(string)
    s3_key            = optional(string)
    s3_object_version = optional(string)
    function_name     = optional(string)
    environment       = optional(map(string), {})
  }))

  validation {
    condition = alltrue([
      for id in keys(var.functions) : id == "CustomRotation" || can(
        regex("^(PostgreSQL|MySQL|MariaDB|SQLServer|Oracle)(Single|Master)User$", id)
      )
    ])
    error_message = "A key of functions is such as MySQLSingleUser, or CustomRotation."
  }

  validation {
    condition = alltrue([
      for function in values(var.functions) :
      (function.filename != null) != (function.s3_bucket != null && function.s3_key != null)
    ])
    error_message = "A function has either filename, or s3_bucket and s3_key."
  }
}

variable "rotations" {
  description = <<-EOT
    The secrets to rotate. secret_id is the ARN or the name of the secret, and function a key of
    functions. A schedule_expression, such as rate(30 days), replaces automatically_after_days.
  EOT
  type = map(object({
    secret_id                = string
    function                 = string
    automatically_after_days = optional(number, 30)
    schedule_expression      = optional(string)
    duration                 = optional(string)
    rotate_immediately       = optional(bool, false)
  }))
  default = {}
}

variable "architecture" {
  description = "Processor architecture for which the functions were built: arm64 or x86_64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture is arm64 or x86_64, as in make package ARCH=arm64."
  }
}

variable "memory_size" {
  description = "Memory of each function in MB."
  type        = number
  default     = 128
}

variable "subnet_ids" {
  description = "Subnets that can reach the database. Empty: outside of any VPC."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of the functions."
  type        = list(string)
  default     = []
}

# An object, because Terraform must know whether there is an endpoint before it knows the VPC's ID.
variable "endpoint" {
  description = "VPC in which to create an interface endpoint for Secrets Manager, or null."
  type        = object({ vpc_id = string })
  default     = null
}

variable "tls_ca_layer_arn" {
  description = "Lambda layer, with its version, that contains the file of TLS_CA_FILE, or null."
  type        = string
  default     = null
}

variable "kms_key_arns" {
  description = "KMS keys that encrypt the secrets. Empty: the account's aws/secretsmanager key."
  type        = list(string)
  default     = []
}

variable "replica_kms_key_arns" {
  description = "KMS keys of replicas in other accounts, for replicas without a replication role."
  type        = list(string)
  default     = []
}

variable "secret_account_ids" {
  description = "Other accounts whose secrets the functions may rotate."
  type        = list(string)
  default     = []
}

variable "assume_role_arn" {
  description = "Role with which the functions call Secrets Manager and RDS, or null: their own."
  type        = string
  default     = null
}

variable "master_secret_arns" {
  description = "Master secrets. An ARN may contain the wildcards * and ?."
  type        = list(string)
  default     = []
}

variable "master_secret_tag" {
  description = "Value of the tag rotation-master of the master secrets in this account, or null."
  type        = string
  default     = null
}

variable "master_secret_kms_key_arns" {
  description = "KMS keys that encrypt the master secrets, if they are not in kms_key_arns."
  type        = list(string)
  default     = []
}

variable "master_strategy" {
  description = "Strategy of the MasterUser functions: master-user or single-user-by-master."
  type        = string
  default     = "master-user"
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the roles, or null."
  type        = string
  default     = null
}

variable "deny_credentials_elsewhere" {
  description = "Whether the credentials of a role are useless outside of its function."
  type        = bool
  default     = true
}

variable "log_retention_in_days" {
  description = "Number of days for which logs are kept."
  type        = number
  default     = 90
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the logs, or null."
  type        = string
  default     = null
}

variable "tracing" {
  description = "Active: X-Ray records every invocation. PassThrough is the default."
  type        = string
  default     = "PassThrough"
}

# An object, because Terraform must know whether there are alarms before it knows the topic's ARN.
variable "alarm" {
  description = "SNS topic that receives alarms about failed and unfinished rotations, or null."
  type        = object({ topic_arn = string })
  default     = null
}

variable "not_rotated_for_days" {
  description = "Alarm for secrets that were not rotated for so many days. Needs alarm. 0: none."
  type        = number
  default     = 0
}

variable "dashboard" {
  description = "Whether to create a CloudWatch dashboard."
  type        = bool
  default     = false
}
